//! dnf and zypper, on stand-ins for Red Hat 9 and SLES 15: the work that apt does elsewhere.

use super::existing_agent::it_keeps_every_line_of_its_operator;
use super::fresh::becomes_fips_and_cws;
use super::interrupted::{a_stop_takes_it_back, the_next_run_finishes};
use super::kills::killed_in_a_transaction;
use super::network::{from_a_private_mirror, through_a_proxy};
use super::package_files::{files_take_the_place_of_the_repository, signatures_of_rpms};
use super::refusals::{files_say_against_it, no_key_is_given, no_room, repositories_that_cannot_be_trusted};
use super::repository::{
    a_lock_for_a_while, a_lock_for_ever, a_rotated_key, a_slow_download, an_older_index, another_package,
    entries_of_other_tools, no_end,
};
use super::rollback::{
    a_fresh_host_is_fresh_again, a_version_that_is_gone, an_agent_before_us, purged, two_runs_one_by_one,
    uninstalled_and_purged, upgraded_and_back, work_of_the_operator,
};
use super::second_run::a_second_run_is_quiet;
use super::services::{
    a_crash_is_taken_back, a_failing_script_is_taken_back, a_package_is_not_installed, an_agent_runs_again,
};
use super::versions::{a_pinned_version, upgrade_and_downgrade, what_is_on_hold};
use crate::lab::{Repo, Suite};

#[test]
fn el9_becomes_fips_and_cws() {
    becomes_fips_and_cws(Suite::El9, Repo::Good);
}

#[test]
fn sles15_becomes_fips_and_cws() {
    becomes_fips_and_cws(Suite::Sles15, Repo::Good);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn an_agent_with_the_classic_examples_becomes_fips_and_cws_on_el9() {
    becomes_fips_and_cws(Suite::El9, Repo::Classic);
}

#[test]
fn a_second_run_is_quiet_on_el9() {
    a_second_run_is_quiet(Suite::El9);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn a_second_run_is_quiet_on_sles15() {
    a_second_run_is_quiet(Suite::Sles15);
}

#[test]
fn every_line_of_its_operator_is_kept_on_el9() {
    it_keeps_every_line_of_its_operator(Suite::El9);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn every_line_of_its_operator_is_kept_on_sles15() {
    it_keeps_every_line_of_its_operator(Suite::Sles15);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn what_the_files_of_the_host_say_against_it_on_el9() {
    files_say_against_it(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn what_the_files_of_the_host_say_against_it_on_sles15() {
    files_say_against_it(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_disk_without_room_on_el9() {
    no_room(Suite::El9);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn a_disk_without_room_on_sles15() {
    no_room(Suite::Sles15);
}

#[test]
fn repositories_that_cannot_be_trusted_on_el9() {
    repositories_that_cannot_be_trusted(Suite::El9);
}

#[test]
fn repositories_that_cannot_be_trusted_on_sles15() {
    repositories_that_cannot_be_trusted(Suite::Sles15);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn key_hosts_that_give_no_key_on_el9() {
    no_key_is_given(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn key_hosts_that_give_no_key_on_sles15() {
    no_key_is_given(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn an_agent_that_crashes_is_taken_back_on_el9() {
    a_crash_is_taken_back(Suite::El9);
}

#[test]
fn an_agent_that_crashes_is_taken_back_on_sles15() {
    a_crash_is_taken_back(Suite::Sles15);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_package_whose_script_fails_is_taken_back_on_el9() {
    a_failing_script_is_taken_back(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_package_whose_script_fails_is_taken_back_on_sles15() {
    a_failing_script_is_taken_back(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn an_agent_that_ran_before_runs_again_after_a_failure_on_el9() {
    an_agent_runs_again(Suite::El9);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn an_agent_that_ran_before_runs_again_after_a_failure_on_sles15() {
    an_agent_runs_again(Suite::Sles15);
}

#[test]
fn a_run_that_is_asked_to_stop_takes_itself_back_on_el9() {
    a_stop_takes_it_back(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_run_that_is_asked_to_stop_takes_itself_back_on_sles15() {
    a_stop_takes_it_back(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_package_that_is_not_what_the_index_says_is_not_installed_on_el9() {
    a_package_is_not_installed(Suite::El9, Repo::TamperedPackage, "checksum");
}

#[test]
fn a_package_that_a_stranger_signed_is_not_installed_on_el9() {
    a_package_is_not_installed(Suite::El9, Repo::StrangePackage, "not signed by a trusted key");
}

#[test]
fn killed_while_packages_are_unpacked_on_el9() {
    the_next_run_finishes(Suite::El9, "test -e /opt/datadog-agent");
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn killed_while_files_are_written_on_el9() {
    the_next_run_finishes(Suite::El9, "test -e /etc/datadog-agent/datadog.yaml");
}

#[test]
fn a_package_that_is_not_what_the_index_says_is_not_installed_on_sles15() {
    a_package_is_not_installed(Suite::Sles15, Repo::TamperedPackage, "changed after it was signed");
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_package_that_a_stranger_signed_is_not_installed_on_sles15() {
    a_package_is_not_installed(Suite::Sles15, Repo::StrangePackage, "not signed by a trusted key");
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn killed_while_packages_are_unpacked_on_sles15() {
    the_next_run_finishes(Suite::Sles15, "test -e /opt/datadog-agent");
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn killed_while_files_are_written_on_sles15() {
    the_next_run_finishes(Suite::Sles15, "test -e /etc/datadog-agent/datadog.yaml");
}

#[test]
fn a_rotated_key_is_taken_once_it_is_pinned_on_el9() {
    a_rotated_key(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_rotated_key_is_taken_once_it_is_pinned_on_sles15() {
    a_rotated_key(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn an_older_index_that_is_replayed_lowers_nothing_on_el9() {
    an_older_index(Suite::El9);
}

#[test]
fn an_older_index_that_is_replayed_lowers_nothing_on_sles15() {
    an_older_index(Suite::Sles15);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn an_index_that_never_ends_on_el9() {
    no_end(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn an_index_that_never_ends_on_sles15() {
    no_end(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_slow_download_ends_in_time_and_goes_on_on_el9() {
    a_slow_download(Suite::El9);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_slow_download_ends_in_time_and_goes_on_on_sles15() {
    a_slow_download(Suite::Sles15);
}

#[test]
fn a_lock_is_waited_for_on_el9() {
    a_lock_for_a_while(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_lock_is_waited_for_on_sles15() {
    a_lock_for_a_while(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_lock_that_is_held_for_ever_on_el9() {
    a_lock_for_ever(Suite::El9);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_lock_that_is_held_for_ever_on_sles15() {
    a_lock_for_ever(Suite::Sles15);
}

#[test]
fn a_package_that_is_not_the_one_in_the_index_on_el9() {
    another_package(Suite::El9, "checksum mismatch");
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_package_that_is_not_the_one_in_the_index_on_sles15() {
    another_package(Suite::Sles15, "changed after it was signed");
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_pinned_version_is_the_one_that_is_installed_on_el9() {
    a_pinned_version(Suite::El9);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_pinned_version_is_the_one_that_is_installed_on_sles15() {
    a_pinned_version(Suite::Sles15);
}

#[test]
fn versions_go_up_and_down_when_asked_on_el9() {
    upgrade_and_downgrade(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn versions_go_up_and_down_when_asked_on_sles15() {
    upgrade_and_downgrade(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn what_is_on_hold_moves_only_with_a_word_about_the_hold_on_el9() {
    what_is_on_hold(Suite::El9);
}

#[test]
fn what_is_on_hold_moves_only_with_a_word_about_the_hold_on_sles15() {
    what_is_on_hold(Suite::Sles15);
}

#[test]
fn entries_of_other_tools_are_named_and_never_doubled_on_el9() {
    entries_of_other_tools(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn entries_of_other_tools_are_named_and_never_doubled_on_sles15() {
    entries_of_other_tools(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_fresh_host_is_fresh_again_on_el9() {
    a_fresh_host_is_fresh_again(Suite::El9);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn a_fresh_host_is_fresh_again_on_sles15() {
    a_fresh_host_is_fresh_again(Suite::Sles15);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn two_runs_over_an_existing_agent_are_taken_back_one_by_one_on_el9() {
    two_runs_one_by_one(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn two_runs_over_an_existing_agent_are_taken_back_one_by_one_on_sles15() {
    two_runs_one_by_one(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn an_upgrade_is_taken_back_on_el9() {
    upgraded_and_back(Suite::El9);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn an_upgrade_is_taken_back_on_sles15() {
    upgraded_and_back(Suite::Sles15);
}

#[test]
#[ignore = "apt and other tests stand for it; --long runs it"]
fn a_version_that_is_not_to_be_had_any_more_is_named_on_el9() {
    a_version_that_is_gone(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn a_version_that_is_not_to_be_had_any_more_is_named_on_sles15() {
    a_version_that_is_gone(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn what_the_operator_did_since_stays_and_is_named_on_el9() {
    work_of_the_operator(Suite::El9);
}

#[test]
#[ignore = "apt and other tests stand for it; --long runs it"]
fn what_the_operator_did_since_stays_and_is_named_on_sles15() {
    work_of_the_operator(Suite::Sles15);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn uninstalled_configuration_stays_unless_it_is_purged_on_el9() {
    uninstalled_and_purged(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn uninstalled_configuration_stays_unless_it_is_purged_on_sles15() {
    uninstalled_and_purged(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn purged_a_host_is_as_it_was_on_el9() {
    purged(Suite::El9);
}

#[test]
#[ignore = "apt and other tests stand for it; --long runs it"]
fn purged_a_host_is_as_it_was_on_sles15() {
    purged(Suite::Sles15);
}

#[test]
#[ignore = "apt and other tests stand for it; --long runs it"]
fn an_agent_that_was_there_before_us_stays_on_el9() {
    an_agent_before_us(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn an_agent_that_was_there_before_us_stays_on_sles15() {
    an_agent_before_us(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn through_a_proxy_that_wants_a_password_on_el9() {
    through_a_proxy(Suite::El9, "HTTPS_PROXY");
}

#[test]
fn through_a_proxy_that_wants_a_password_on_sles15() {
    through_a_proxy(Suite::Sles15, "DD_REPO_PROXY");
}

#[test]
fn from_a_private_mirror_on_el9() {
    from_a_private_mirror(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn from_a_private_mirror_on_sles15() {
    from_a_private_mirror(Suite::Sles15);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn files_take_the_place_of_the_repository_on_el9() {
    files_take_the_place_of_the_repository(Suite::El9);
}

#[test]
fn files_take_the_place_of_the_repository_on_sles15() {
    files_take_the_place_of_the_repository(Suite::Sles15);
}

#[test]
fn signatures_of_package_files_on_el9() {
    signatures_of_rpms(Suite::El9);
}

#[test]
#[ignore = "one family stands for both; --long runs it"]
fn signatures_of_package_files_on_sles15() {
    signatures_of_rpms(Suite::Sles15);
}

#[test]
fn killed_in_a_transaction_on_el9() {
    killed_in_a_transaction(Suite::El9);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn killed_in_a_transaction_on_sles15() {
    killed_in_a_transaction(Suite::Sles15);
}
