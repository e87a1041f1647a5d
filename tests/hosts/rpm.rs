//! dnf and zypper, on stand-ins for Red Hat 9 and SLES 15: the work that apt does elsewhere.

use super::existing_agent::it_keeps_every_line_of_its_operator;
use super::fresh::becomes_fips_and_cws;
use super::second_run::a_second_run_is_quiet;
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
fn an_agent_with_the_classic_examples_becomes_fips_and_cws_on_el9() {
    becomes_fips_and_cws(Suite::El9, Repo::Classic);
}

#[test]
fn a_second_run_is_quiet_on_el9() {
    a_second_run_is_quiet(Suite::El9);
}

#[test]
fn a_second_run_is_quiet_on_sles15() {
    a_second_run_is_quiet(Suite::Sles15);
}

#[test]
fn el9_keeps_every_line_of_its_operator() {
    it_keeps_every_line_of_its_operator(Suite::El9);
}

#[test]
fn sles15_keeps_every_line_of_its_operator() {
    it_keeps_every_line_of_its_operator(Suite::Sles15);
}
