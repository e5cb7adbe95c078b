//! The command as a process: what it does with what people type, and with variables that are set to nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Command, Output};

fn weir(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.env_clear().args(arguments).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn empty_variables_are_not_set() {
    let empty = [("WEIR_CONFIG", ""), ("WEIR_LOG", ""), ("WEIR_LOG_FORMAT", "")];
    let valid = weir(&["validate"], &empty);
    assert_eq!((valid.status.code(), valid.stderr.as_slice()), (Some(0), [].as_slice()), "{valid:?}");
    let set = weir(&["validate"], &[("WEIR_CONFIG", "yaml:receivers")]);
    assert_eq!(set.status.code(), Some(78), "{set:?}");
}

#[test]
fn an_empty_config_is_refused() {
    let refused = weir(&["validate", "--config="], &[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), said.contains("`--config` is empty")), (Some(2), true), "{said}");
}

#[test]
fn a_path_without_its_flag_is_answered_with_the_flag() {
    let refused = weir(&["gateway.yaml"], &[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), said.contains("'--config=gateway.yaml'")), (Some(2), true), "{said}");
}
