//! The contract every component keeps.

use pdata::Signal;
use processor_redaction::factory;
use testkit::Subject;
use testkit::suite::contract;

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    // The suites number items by an attribute, which has to stay.
    for signal in Signal::ALL {
        for yaml in ["{allow_all_keys: true}", "{allow_all_keys: true, detectors: all, summary: debug}"] {
            contract(&Subject::new(factory()).with_signal(signal).with_config(yaml)).await.unwrap();
        }
    }
}
