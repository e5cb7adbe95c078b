//! A flash crowd in front of a simulated machine: what it does to the pressure goes through the rule, what the rule says
//! goes back to what the machine has to do.

use std::time::Duration;

use component::pressure::Step;
use extension_overload::admission::{Admission, Flow};
use extension_overload::config::{Monitors, OverloadConfig};
use extension_overload::rule::{Rule, kept_shares};

const TICK: Duration = Duration::from_millis(100);
/// What the machine can do in a tick.
const CAPACITY: f64 = 100.0;
/// What an item costs that is received and dropped, of one that is kept.
const DROPPING: f64 = 0.1;
/// The share of items that are errors.
const ERRORS: f64 = 0.01;

/// What happened over time.
struct Course {
    /// Ticks at which steps were taken or left.
    changes: Vec<(usize, Step)>,
    /// Of the errors that were offered and let in, the share that was kept.
    errors_kept: f64,
    /// The fullest that memory was.
    fullest: f64,
    /// Share of the requests that is let in at the end.
    admitted: f64,
}

/// Lets `load` (of the capacity, by tick) come in; memory has room for `room` seconds of work.
fn run(room: f64, load: impl Iterator<Item = f64>) -> Course {
    let room = room * CAPACITY * 10.0;
    let config = OverloadConfig::default();
    let Monitors { cpu, telemetry, cpu_stall, .. } = &config.monitors;
    let (mut rule, mut admission) = (Rule::new(&config, Step::Calm, 0.0), Admission::new(&config));
    let (mut waiting, mut taken, mut fullest, mut stall) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    let mut busy = [0.0; 10];
    let (mut errors, mut errors_kept) = (0.0, 0.0);
    let (mut changes, mut last) = (Vec::new(), Step::Calm);
    let mut kept = [1.0; 3];
    for (tick, load) in load.enumerate() {
        let admitted = load * CAPACITY * admission.share();
        errors += admitted * ERRORS;
        errors_kept += admitted * ERRORS * kept[2];
        // Half of what comes in is kept by chance alone.
        let cost = |items: f64, kept: f64| items * (kept + (1.0 - kept) * DROPPING);
        let work = cost(admitted * ERRORS, kept[2]) + cost(admitted * (1.0 - ERRORS), 0.5 * kept[1]) * 2.0 / 1.1;
        // What does not fit is refused by the account.
        let came = work.min(room - waiting + CAPACITY);
        taken += came;
        let done = (waiting + came).min(CAPACITY);
        waiting += came - done;
        fullest = fullest.max(waiting / room);
        busy.rotate_left(1);
        busy[9] = done / CAPACITY;
        let mean = busy.iter().sum::<f64>() / 10.0;
        // Something waits whenever more comes in than can be done; averaged over 10 s, as the kernel does.
        let waits = if waiting > 0.0 { 0.7 } else { 0.0 };
        stall += (waits - stall) * (1.0 - (-0.01_f64).exp());
        let pressure = cpu.pressure(mean).max(telemetry.pressure(waiting / room)).max(cpu_stall.pressure(stall));
        let now = TICK * tick as u32;
        let step = rule.judge(now, pressure);
        let flow = Flow { taken_bytes: taken as u64, held_bytes: waiting as u64 };
        admission.judge(now, step, rule.confirmed(), flow);
        kept = kept_shares(&rule.reading(admission.is_exhausted(rule.confirmed())));
        if step != last {
            changes.push((tick, step));
        }
        last = step;
    }
    Course { changes, errors_kept: errors_kept / errors, fullest, admitted: admission.share() }
}

/// `seconds` of a load.
fn lasting(seconds: usize, load: f64) -> impl Iterator<Item = f64> {
    std::iter::repeat_n(load, seconds * 10)
}

/// The most changes within any minute.
fn changes_a_minute(changes: &[(usize, Step)]) -> usize {
    let within = |(from, _): &(usize, Step)| changes.iter().filter(|(at, _)| (*from..from + 600).contains(at)).count();
    changes.iter().map(within).max().unwrap_or_default()
}

#[test]
fn a_crowd_of_ten_times_the_load_for_a_minute() {
    // Memory that is full within two measurements, and memory that leaves it to the CPU, averaged over a second, to tell.
    // The way down of the latter has one step more.
    for (room, risen_within, changes_max) in [(0.4, 3, 2), (4.0, 10, 3)] {
        let course = run(room, lasting(30, 0.3).chain(lasting(60, 3.0)).chain(lasting(90, 0.3)));
        let changes = &course.changes;
        let ((first, _), (over, calm)) = (changes[0], changes.last().unwrap());
        assert!((300..=300 + risen_within).contains(&first), "{changes:?}");
        assert!(*calm == Step::Calm && *over <= 900 + 300, "{changes:?}");
        assert!((course.admitted - 1.0).abs() < 1e-9 && course.fullest <= 1.0);
        assert!(course.errors_kept >= 0.95, "{}", course.errors_kept);
        let rises = changes.iter().filter(|(at, _)| *at < first + 20).count();
        assert!(changes_a_minute(&changes[rises - 1..]) <= changes_max, "{room}: {changes:?}");
        assert!(
            changes[rises - 1..].is_sorted_by(|(_, before), (_, after)| before > after),
            "no swinging: {changes:?}"
        );
    }
}

#[test]
fn a_machine_that_fills_at_once_is_answered_at_once() {
    let course = run(0.4, lasting(30, 0.3).chain(lasting(60, 30.0)).chain(lasting(90, 0.3)));
    let (first, step) = course.changes[0];
    assert!((300..=303).contains(&first) && step == Step::Refuse, "{:?}", course.changes);
    assert!(changes_a_minute(&course.changes) <= 2, "{:?}", course.changes);
}

#[test]
fn lasting_overload_finds_a_balance() {
    for load in [1.1, 1.5, 2.0, 5.0, 20.0] {
        for room in [0.4, 4.0] {
            let course = run(room, lasting(600, load));
            let after_a_minute: Vec<_> = course.changes.iter().filter(|(tick, _)| *tick > 600).copied().collect();
            assert!(changes_a_minute(&after_a_minute) <= 2, "{load}: {:?}", course.changes);
            assert!(course.errors_kept >= 0.95, "{load}: {}", course.errors_kept);
        }
    }
}

#[test]
fn a_busy_machine_that_keeps_up_is_left_alone() {
    assert_eq!(run(4.0, lasting(120, 0.8)).changes, []);
}
