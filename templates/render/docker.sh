#!/bin/sh
# The Datadog Agent on a Docker host. Made by ddinstall render docker; make it again rather than changing it here.
{% if not handle %}
# DD_API_KEY is taken from the environment of whoever runs this: an argument could be read by every user.
{% endif %}
#
{% if host_pid %}
# --pid host: {{ host_pid }}
{% endif %}
{% if cgroup %}
# --cgroupns host: {{ cgroup }}
{% endif %}
{% if apparmor %}
# --security-opt apparmor:unconfined: {{ apparmor }}
{% endif %}
{% for cap in caps %}
# --cap-add {{ cap.name }}: {{ cap.why }}
{% endfor %}
{% for m in mounts %}
# -v {{ m.host }}: {{ m.why }}
{% endfor %}
{% for v in env %}
# -e {{ v.name }}: {{ v.why }}
{% endfor %}
set -eu
{% if not handle %}
: "${DD_API_KEY:?set DD_API_KEY}"
export DD_API_KEY
{% endif %}
docker run -d --name dd-agent \
  --restart unless-stopped \
{% if host_pid %}
  --pid host \
{% endif %}
{% if cgroup %}
  --cgroupns host \
{% endif %}
{% if apparmor %}
  --security-opt apparmor:unconfined \
{% endif %}
{% for cap in caps %}
  --cap-add {{ cap.name }} \
{% endfor %}
{% for m in mounts %}
  -v {{ m.host }}:{{ m.path }}{% if not m.writable %}:ro{% endif %} \
{% endfor %}
{% if secret_file %}
  -v "$PWD"/{{ secret_file }}:/run/secrets/{{ secret_file }}:ro \
{% endif %}
{% if not handle %}
  -e DD_API_KEY \
{% endif %}
{% for v in env %}
  -e {{ (v.name ~ "=" ~ v.value)|sh }} \
{% endfor %}
  {{ registry }}/agent:{{ image }}
{% if fips %}
# The proxy in the Agent's network, so that both share the loopback. No port of it is published: it relays in plain text.
docker run -d --name fips-proxy \
  --restart unless-stopped \
  --network container:dd-agent \
  -e DD_FIPS_LOCAL_ADDRESS=127.0.0.1 \
  -e DD_FIPS_PORT_RANGE_START={{ first }} \
  {{ registry }}/fips-proxy:{{ proxy }}
{% endif %}
