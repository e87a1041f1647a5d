# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
# Generated from the settings table of ddinstall by script/docs: changes made here are lost.
"""The settings of ddinstall, documented."""
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type


class ModuleDocFragment(object):

    DOCUMENTATION = r'''
options:
  api_key:
    description:
      - "API key of your Datadog organisation, or an ENC[…] handle."
      - "Where it is not given: the key that is in datadog.yaml."
      - "The variable DD_API_KEY of the official script."
    type: str
  api_key_file:
    description:
      - "File that holds the API key on its first line; C(-) reads it from standard input."
      - "Where it is not given: none."
      - "The variable DD_API_KEY_FILE of ddinstall."
    type: str
  app_key:
    description:
      - "Application key, or an ENC[…] handle."
      - "The variable DD_APP_KEY of the official script."
    type: str
  site:
    description:
      - "Datadog site that data is sent to."
      - "Where it is not given: with FIPS on a fresh host ddog-gov.com; otherwise left as it is."
      - "The variable DD_SITE of the official script."
    type: str
  url:
    description:
      - "Intake address for metrics in place of the site's; without effect under FIPS."
      - "The variable DD_URL of the official script."
    type: str
  hostname:
    description:
      - "Name under which the host appears."
      - "The variable DD_HOSTNAME of the official script."
    type: str
  tags:
    description:
      - "Tags of the host, separated by commas: team:infra,tier:web."
      - "The variable DD_TAGS of the official script."
    type: list
    elements: str
  env:
    description:
      - "Environment of the host, such as prod."
      - "The variable DD_ENV of the official script."
    type: str
  fips_mode:
    description:
      - "Sends all that the Agent can send through the FIPS proxy, installed on this host."
      - "Agent 7.41 or later."
      - "The variable DD_FIPS_MODE of the official script."
    type: bool
  runtime_security_config_enabled:
    description:
      - "Turns on Cloud Workload Security (CWS)."
      - "Agent 7.27 or later."
      - "The variable DD_RUNTIME_SECURITY_CONFIG_ENABLED of the official script."
    type: bool
  compliance_config_enabled:
    description:
      - "Turns on the compliance checks of the host (CSPM)."
      - "The variable DD_COMPLIANCE_CONFIG_ENABLED of the official script."
    type: bool
  runtime_security_config_network_enabled:
    description:
      - "Network events of CWS, under the key that this Agent's version reads."
      - "Where it is not given: on with CWS."
      - "Agent 7.36 or later."
      - "The variable DD_RUNTIME_SECURITY_CONFIG_NETWORK_ENABLED of ddinstall."
    type: bool
  runtime_security_config_activity_dump_enabled:
    description:
      - "Activity dumps of CWS."
      - "Where it is not given: off with FIPS; otherwise left as it is."
      - "Refused together with FIPS, since activity dumps go to cws-intake of the site directly."
      - "The variable DD_RUNTIME_SECURITY_CONFIG_ACTIVITY_DUMP_ENABLED of ddinstall."
    type: bool
  runtime_security_config_direct_send:
    description:
      - "Lets system-probe send CWS events itself; with an ENC[…] key, agent_ipc is set as that needs."
      - "Agent 7.63 or later."
      - "The variable DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE of ddinstall."
    type: bool
  system_probe_ensure_config:
    description:
      - "Makes system-probe.yaml from the package's example, whatever else is on."
      - "Where it is not given: off."
      - "The variable DD_SYSTEM_PROBE_ENSURE_CONFIG of the official script."
    type: bool
  discovery_enabled:
    description:
      - "Service discovery."
      - "Where it is not given: off with FIPS and CWS; otherwise left as it is."
      - "Refused together with FIPS, since service discovery sends to the site directly."
      - "The variable DD_DISCOVERY_ENABLED of the official script."
    type: bool
  privileged_logs_enabled:
    description:
      - "Lets system-probe open log files that dd-agent may not read."
      - "The variable DD_PRIVILEGED_LOGS_ENABLED of the official script."
    type: bool
  system_probe_service_monitoring_enabled:
    description:
      - "Universal Service Monitoring."
      - "The variable DD_SYSTEM_PROBE_SERVICE_MONITORING_ENABLED of the official script."
    type: bool
  logs_enabled:
    description:
      - "Turns on log collection, which the proxy's own log needs."
      - "Where it is not given: with FIPS on, unless datadog.yaml says false; otherwise left as it is."
      - "The variable DD_LOGS_ENABLED of ddinstall."
    type: bool
  logs_config_process_collect_all:
    description:
      - "Collects the logs of all processes that are found. Off takes process_log out of extra_config_providers."
      - "Refused together with FIPS, since it needs service discovery, which sends to the site directly."
      - "The variable DD_LOGS_CONFIG_PROCESS_COLLECT_ALL of the official script."
    type: bool
  apm_enabled:
    description:
      - "Takes traces from applications (the trace-agent)."
      - "Where it is not given: the Agent's own: on."
      - "The variable DD_APM_ENABLED of ddinstall."
    type: bool
  infrastructure_mode:
    description:
      - "Infrastructure mode of the Agent: full, basic, end_user_device, none."
      - "The variable DD_INFRASTRUCTURE_MODE of the official script."
    type: str
  apm_error_tracking_standalone:
    description:
      - "Error Tracking for backend services without the rest of the Agent's products."
      - "The variable DD_APM_ERROR_TRACKING_STANDALONE of the official script."
    type: bool
  sbom_container_image_enabled:
    description:
      - "Software bills of materials of container images."
      - "Refused together with FIPS, since bills of materials are sent to the site directly."
      - "The variable DD_SBOM_CONTAINER_IMAGE_ENABLED of the official script."
    type: bool
  sbom_host_enabled:
    description:
      - "Software bill of materials of the host."
      - "Refused together with FIPS, since bills of materials are sent to the site directly."
      - "The variable DD_SBOM_HOST_ENABLED of the official script."
    type: bool
  remote_updates:
    description:
      - "Lets Datadog update this Agent from afar."
      - "Where it is not given: never turned on unasked."
      - "Agent 7.69 or later."
      - "Refused together with FIPS, since remote updates come by remote configuration, which goes to the site directly."
      - "The variable DD_REMOTE_UPDATES of the official script."
    type: bool
  otelcollector_enabled:
    description:
      - "The OpenTelemetry collector of Datadog (DDOT): package, otel-config.yaml and datadog.yaml."
      - "Refused together with FIPS, since the collector sends to the site directly."
      - "The variable DD_OTELCOLLECTOR_ENABLED of the official script."
    type: bool
  private_action_runner_enabled:
    description:
      - "The private action runner."
      - "Refused together with FIPS, since the runner talks to the site directly."
      - "The variable DD_PRIVATE_ACTION_RUNNER_ENABLED of the official script."
    type: bool
  private_action_runner_actions_allowlist:
    description:
      - "Actions that the runner may carry out, separated by commas."
      - "The variable DD_PRIVATE_ACTION_RUNNER_ACTIONS_ALLOWLIST of the official script."
    type: list
    elements: str
  private_action_runner_http_allowlist:
    description:
      - "Hosts that the runner may send HTTP requests to, separated by commas."
      - "The variable DD_PRIVATE_ACTION_RUNNER_HTTP_ALLOWLIST of the official script."
    type: list
    elements: str
  private_action_runner_api_key_only_enrollment:
    description:
      - "Enrols the runner with the API key alone."
      - "The variable DD_PRIVATE_ACTION_RUNNER_API_KEY_ONLY_ENROLLMENT of the official script."
    type: bool
  private_action_runner_urn:
    description:
      - "Name of a runner that is enrolled already."
      - "The variable DD_PRIVATE_ACTION_RUNNER_URN of the official script."
    type: str
  private_action_runner_private_key:
    description:
      - "Private key of a runner that is enrolled already, or an ENC[…] handle."
      - "The variable DD_PRIVATE_ACTION_RUNNER_PRIVATE_KEY of the official script."
    type: str
  private_action_runner_split_enabled:
    description:
      - "Runs the private action runner as a process of its own."
      - "Refused together with FIPS, since the Agent itself refuses the split runner with the FIPS proxy."
      - "The variable DD_PRIVATE_ACTION_RUNNER_SPLIT_ENABLED of the official script."
    type: bool
  proxy_http:
    description:
      - "Web proxy for http addresses; without effect under FIPS."
      - "The variable DD_PROXY_HTTP of ddinstall."
    type: str
  proxy_https:
    description:
      - "Web proxy for https addresses; without effect under FIPS."
      - "The variable DD_PROXY_HTTPS of ddinstall."
    type: str
  proxy_no_proxy:
    description:
      - "Hosts that are reached without the web proxy, separated by commas or blanks."
      - "The variable DD_PROXY_NO_PROXY of ddinstall."
    type: list
    elements: str
  skip_ssl_validation:
    description:
      - "Turns the Agent's certificate checks off; better add your CA to the system's store."
      - "Refused together with FIPS, since without certificate checks no connection of the Agent is worth the name."
      - "The variable DD_SKIP_SSL_VALIDATION of ddinstall."
    type: bool
  min_tls_version:
    description:
      - "Oldest TLS version that the Agent speaks."
      - "The variable DD_MIN_TLS_VERSION of ddinstall."
    type: str
    choices: ['tlsv1.2', 'tlsv1.3']
  secret_backend_helper:
    description:
      - "Program on this host that is put in place as the secret_backend_command, with the owner and mode that the Agent demands."
      - "Where it is not given: none."
      - "The variable DD_SECRET_BACKEND_HELPER of ddinstall."
    type: str
  secret_backend_folder:
    description:
      - "Folder of files whose names are the handles, such as /run/secrets; ddinstall itself is put in place as the helper that reads it."
      - "Where it is not given: none."
      - "The variable DD_SECRET_BACKEND_FOLDER of ddinstall."
    type: str
  secret_backend_command:
    description:
      - "Program that the Agent resolves ENC[…] handles with; it must be there, with the owner and mode that the Agent demands."
      - "The variable DD_SECRET_BACKEND_COMMAND of ddinstall."
    type: str
  secret_backend_arguments:
    description:
      - "Arguments of that program, separated by blanks."
      - "The variable DD_SECRET_BACKEND_ARGUMENTS of ddinstall."
    type: list
    elements: str
  secret_backend_timeout:
    description:
      - "How long that program may take."
      - "The variable DD_SECRET_BACKEND_TIMEOUT of ddinstall."
    type: int
  secret_backend_output_max_size:
    description:
      - "How many bytes that program may print, to standard output and to standard error."
      - "The variable DD_SECRET_BACKEND_OUTPUT_MAX_SIZE of ddinstall."
    type: str
  secret_backend_skip_checks:
    description:
      - "Leaves handles in the files of checks unresolved."
      - "The variable DD_SECRET_BACKEND_SKIP_CHECKS of ddinstall."
    type: bool
  secret_backend_remove_trailing_line_break:
    description:
      - "Takes line breaks off the end of each secret."
      - "The variable DD_SECRET_BACKEND_REMOVE_TRAILING_LINE_BREAK of ddinstall."
    type: bool
  secret_backend_command_allow_group_exec_perm:
    description:
      - "Lets the program belong to root, and be run by its group; one that is put in place is then root:dd-agent 0750."
      - "The variable DD_SECRET_BACKEND_COMMAND_ALLOW_GROUP_EXEC_PERM of ddinstall."
    type: bool
  secret_backend_type:
    description:
      - "The Agent's own backend, such as aws.secrets or file.yaml; its secret_backend_config is set with --set or --file."
      - "Agent 7.70 or later."
      - "The variable DD_SECRET_BACKEND_TYPE of ddinstall."
    type: str
  install_only:
    description:
      - "Installs and configures, and starts nothing."
      - "Where it is not given: off."
      - "The variable DD_INSTALL_ONLY of the official script."
    type: bool
  no_agent_install:
    description:
      - "Sets up keys, repository and configuration files, and leaves the Agent to you."
      - "Where it is not given: off."
      - "The variable DD_NO_AGENT_INSTALL of the official script."
    type: bool
  agent_flavor:
    description:
      - "Package to install. datadog-fips-agent has FIPS built in and needs no proxy."
      - "Where it is not given: the installed one; on a fresh host datadog-agent."
      - "The variable DD_AGENT_FLAVOR of the official script."
    type: str
    choices: ['datadog-agent', 'datadog-iot-agent', 'datadog-dogstatsd', 'datadog-fips-proxy', 'datadog-fips-agent', 'datadog-heroku-agent']
  agent_major_version:
    description:
      - "Major version of the Agent."
      - "Where it is not given: 7."
      - "The variable DD_AGENT_MAJOR_VERSION of the official script."
    type: str
    choices: ['7']
  agent_minor_version:
    description:
      - "Minor version of the Agent: 58 for its newest patch, 58.2 for just that one."
      - "Where it is not given: the installed one; on a fresh host the newest."
      - "The variable DD_AGENT_MINOR_VERSION of the official script."
    type: str
  fips_proxy_version:
    description:
      - "Version of the FIPS proxy, such as 1.1.14."
      - "Where it is not given: the installed one; on a fresh host the newest."
      - "The variable DD_FIPS_PROXY_VERSION of ddinstall."
    type: str
  upgrade:
    description:
      - "Upgrades installed packages to the newest version, or to the one that is pinned."
      - "Where it is not given: off: an installed version stays."
      - "The variable DD_UPGRADE of the official script."
    type: bool
  hold:
    description:
      - "Holds the packages at their version against other upgrades, or releases them; a pin or --upgrade beside it still moves them."
      - "The variable DD_HOLD of ddinstall."
    type: bool
  package:
    description:
      - "Package files that are on this host already, installed in place of those of the repository, which is not asked."
      - "Where it is not given: packages come from the repository."
      - "The variable DD_PACKAGE_FILES of ddinstall."
    type: list
    elements: str
  assume_distribution:
    description:
      - "Release that an unknown derivative is built on, such as debian:12 or rhel:9."
      - "Where it is not given: what os-release says."
      - "The variable DD_ASSUME_DISTRIBUTION of ddinstall."
    type: str
  profile:
    description:
      - "What this is: a host, an image that is being built, or a container whose first process starts everything."
      - "Where it is not given: image with --root, and in a container without a service manager; otherwise host."
      - "The variable DD_INSTALL_PROFILE of ddinstall."
    type: str
    choices: ['host', 'image', 'container']
  no_key:
    description:
      - "Does without an API key, and keeps secrets out: the first start brings the key by C(ddinstall install)."
      - "Where it is not given: off; on with --root."
      - "The variable DD_NO_KEY of ddinstall."
    type: bool
  clean:
    description:
      - "Empties the package manager's lists and caches at the end."
      - "Where it is not given: off; in an image they are left as they were found."
      - "The variable DD_CLEAN of ddinstall."
    type: bool
  allow_downgrade:
    description:
      - "Lets a pinned version replace a newer one."
      - "Where it is not given: off."
    type: bool
  allow_fips_off:
    description:
      - "Lets an explicit DD_FIPS_MODE=0 turn FIPS off on a host that has it."
      - "Where it is not given: off."
    type: bool
  reset_proxy_config:
    description:
      - "Replaces a changed datadog-fips-proxy.cfg by the vendor's example."
      - "Where it is not given: off: a proxy configuration that was changed by hand stays."
    type: bool
  on_failure:
    description:
      - "What a failing run does with what it has changed."
      - "Where it is not given: rollback."
    type: str
    choices: ['rollback', 'keep']
  keep_binary:
    description:
      - "Keeps a copy of this program in /var/lib/ddinstall, for a later rollback or uninstall; install.sh asks for it."
      - "Where it is not given: off."
    type: bool
  repo_url:
    description:
      - "Domain of the package repositories: packages come from https://apt.DOMAIN/ or https://yum.DOMAIN/."
      - "Where it is not given: datadoghq.com."
      - "The variable DD_REPO_URL of the official script."
    type: str
  agent_dist_channel:
    description:
      - "Channel of the repository; nightly only from a repository of your own."
      - "Where it is not given: stable."
      - "The variable DD_AGENT_DIST_CHANNEL of the official script."
    type: str
    choices: ['stable', 'beta', 'nightly']
  rpm_repo_gpgcheck:
    description:
      - "Checks the signature of rpm repositories."
      - "Where it is not given: on, always."
      - "The variable DD_RPM_REPO_GPGCHECK of the official script."
    type: bool
  apt_url:
    description:
      - "Address of the apt repository, with or without https://, in place of what repo_url gives; user:password@ in it is kept in apt's credential file."
      - "Where it is not given: apt.datadoghq.com."
      - "The variable TESTING_APT_URL of the official script."
    type: str
  apt_repo_version:
    description:
      - "Suite and component of the apt repository."
      - "Where it is not given: stable 7."
      - "The variable TESTING_APT_REPO_VERSION of the official script."
    type: str
  yum_url:
    description:
      - "Address of the rpm repository."
      - "Where it is not given: yum.datadoghq.com."
      - "The variable TESTING_YUM_URL of the official script."
    type: str
  yum_version_path:
    description:
      - "Path of the rpm repository under its address."
      - "Where it is not given: stable/7."
      - "The variable TESTING_YUM_VERSION_PATH of the official script."
    type: str
  keys_url:
    description:
      - "Address of the signing keys, with or without https://."
      - "Where it is not given: keys.datadoghq.com."
      - "The variable TESTING_KEYS_URL of the official script."
    type: str
  report_url:
    description:
      - "Address that reports of failure are sent to."
      - "Where it is not given: none."
      - "The variable TESTING_REPORT_URL of the official script."
    type: str
  repo_key_fingerprints:
    description:
      - "Fingerprints, separated by commas, of further signing keys that you trust, for a mirror signed by its own key."
      - "Where it is not given: only the vendor's keys are trusted."
      - "The variable DD_REPO_KEY_FINGERPRINTS of ddinstall."
    type: list
    elements: str
  repo_key_file:
    description:
      - "File with the signing keys, in place of a download; the keys in it are trusted."
      - "Where it is not given: keys are downloaded."
      - "The variable DD_REPO_KEY_FILE of ddinstall."
    type: str
  proxy:
    description:
      - "HTTP proxy for keys and packages; NO_PROXY excepts hosts. With a password: by its variable."
      - "Where it is not given: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; without them the package manager's own."
      - "The variable DD_REPO_PROXY of ddinstall."
    type: str
  ca_file:
    description:
      - "Certificate authorities (PEM) that keys and packages may come from, beside the system's."
      - "Where it is not given: the system's alone."
      - "The variable DD_REPO_CA_FILE of ddinstall."
    type: str
  lock_wait:
    description:
      - "How long a lock of the package manager, or another run, is waited for."
      - "Where it is not given: 120."
      - "The variable DD_LOCK_WAIT of ddinstall."
    type: int
  download_stall:
    description:
      - "How long a download may stand still before it is given up."
      - "Where it is not given: 60."
      - "The variable DD_DOWNLOAD_STALL of ddinstall."
    type: int
  download_limit:
    description:
      - "How long all downloading may take; what was fetched is used by the next run."
      - "Where it is not given: 1800."
      - "The variable DD_DOWNLOAD_LIMIT of ddinstall."
    type: int
  instrumentation_telemetry_enabled:
    description:
      - "Telemetry of the installation."
      - "Where it is not given: none is ever sent."
      - "The variable DD_INSTRUMENTATION_TELEMETRY_ENABLED of the official script."
    type: bool
  no_security_agent_install:
    description:
      - "Leaves security-agent.yaml out: not done here."
      - "Where it is not given: as the Agent's package ships it."
      - "The variable DD_NO_SECURITY_AGENT_INSTALL of the official script."
    type: bool
'''
