use super::*;

fn config(yaml: &str) -> SamplerConfig {
    config::decode_str(yaml).unwrap().0
}

fn decider(yaml: &str) -> Decider {
    let config = config(yaml);
    Decider::new(&config, config.sampling_percentage)
}

/// Spread over all trace IDs.
fn trace_id(number: u64) -> [u8; 16] {
    let mixed = |salt: u64| {
        let mut x = number.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mixed(1).to_be_bytes());
    id[8..].copy_from_slice(&mixed(2).to_be_bytes());
    id
}

fn share(decider: &Decider, count: u64, known: impl Fn(&mut Known<'_>)) -> f64 {
    let kept = (0..count).filter(|number| {
        let id = trace_id(*number);
        let mut item = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
        known(&mut item);
        decider.decide(&item).is_kept
    });
    kept.count() as f64 / count as f64
}

#[test]
fn every_mode_keeps_its_share() {
    for mode in ["hash_seed", "equalizing", "proportional"] {
        for percentage in [0.0, 0.5, 10.0, 33.3, 90.0, 100.0, 250.0] {
            let decider = decider(&format!("{{mode: {mode}, sampling_percentage: {percentage}, hash_seed: 7}}"));
            let expected = f64::min(percentage / 100.0, 1.0);
            let count = 100_000;
            let deviation = (expected * (1.0 - expected) / count as f64).sqrt();
            let found = share(&decider, count, |_| {});
            assert!((found - expected).abs() <= 4.0 * deviation + 1e-4, "{mode} {percentage}: {found}");
        }
    }
}

#[test]
fn a_larger_share_contains_a_smaller_one() {
    for mode in ["hash_seed", "equalizing", "proportional"] {
        let of = |percentage: u32| decider(&format!("{{mode: {mode}, sampling_percentage: {percentage}}}"));
        let (few, many) = (of(10), of(40));
        for number in 0..20_000 {
            let id = trace_id(number);
            let item = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
            assert!(!few.decide(&item).is_kept || many.decide(&item).is_kept, "{mode} {number}");
        }
    }
}

#[test]
fn hash_seed_writes_randomness_by_which_later_stages_decide_alike() {
    let hash = decider("{sampling_percentage: 25, hash_seed: 22}");
    let later = decider("{mode: equalizing, sampling_percentage: 25, sampling_precision: 14}");
    let mut kept = 0;
    for number in 0..20_000 {
        let id = trace_id(number);
        let item = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
        let decision = hash.decide(&item);
        let carried = decision.carries.unwrap();
        assert_eq!(decision.is_kept, carried.threshold.keeps(carried.randomness.unwrap()));
        let threshold = Some(carried.threshold).filter(|_| decision.is_kept);
        let next = later.decide(&Known { randomness: carried.randomness, threshold, ..item });
        assert_eq!(next.is_kept, decision.is_kept);
        assert_eq!(next.policy, Policy::SamplingRandomness);
        kept += u32::from(decision.is_kept);
    }
    assert!((4_700..5_300).contains(&kept));
}

#[test]
fn consistent_modes_take_earlier_stages_into_account() {
    let half = Threshold::parse("8");
    let with_half = |item: &mut Known<'_>| {
        item.threshold = half;
        // Only what reached the earlier threshold comes this far.
        let own = Randomness::of_trace_id(item.trace_id.unwrap());
        item.randomness = Some(Randomness::new(own.bits() | 1 << 55));
    };
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 0.02, "{found} is not {expected}");
    close(share(&decider("{mode: equalizing, sampling_percentage: 25}"), 20_000, with_half), 0.5);
    close(share(&decider("{mode: equalizing, sampling_percentage: 75}"), 20_000, with_half), 1.0);
    close(share(&decider("{mode: proportional, sampling_percentage: 25}"), 20_000, with_half), 0.25);
    let id = [0xff; 16];
    let item = Known { trace_id: Some(&id), threshold: half, is_readable: true, ..Known::default() };
    let carried = decider("{mode: proportional, sampling_percentage: 50}").decide(&item).carries.unwrap();
    assert_eq!(carried.threshold.to_string(), "c");
    let carried = decider("{mode: equalizing, sampling_percentage: 75}").decide(&item).carries.unwrap();
    assert_eq!(carried.threshold.to_string(), "8", "a threshold is never lowered");
}

#[test]
fn unsound_items_follow_fail_closed() {
    let id = [0; 16];
    let sound = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
    let contradicts = Known { threshold: Threshold::parse("8"), ..sound };
    let unreadable = Known { is_readable: false, ..sound };
    let missing = Known { trace_id: None, ..sound };
    for mode in ["equalizing", "proportional"] {
        let of = |closed: bool| decider(&format!("{{mode: {mode}, sampling_percentage: 100, fail_closed: {closed}}}"));
        for item in [contradicts, unreadable, missing] {
            assert!(!of(true).decide(&item).is_kept, "{mode} {item:?}");
            assert!(of(false).decide(&item).is_kept, "{mode} {item:?}");
        }
        let cleared = of(false).decide(&contradicts).carries.unwrap();
        assert_eq!(cleared.threshold, Threshold::ALWAYS);
        assert_eq!(of(false).decide(&unreadable).carries, None);
        assert_eq!(of(false).decide(&missing).policy, Policy::MissingRandomness);
    }
    let hash = |closed: bool| decider(&format!("{{sampling_percentage: 100, fail_closed: {closed}}}"));
    for item in [Known { randomness: Some(Randomness::MAX), ..sound }, contradicts, missing] {
        assert!(!hash(true).decide(&item).is_kept, "{item:?}");
        assert!(hash(false).decide(&item).is_kept, "{item:?}");
    }
    assert_eq!(hash(false).decide(&contradicts).carries, None, "another scheme's information stays");
}

#[test]
fn priorities_override_everything() {
    let id = [0; 16];
    let item = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
    let asked = |threshold| Known { priority: Priority::Threshold(threshold), ..item };
    for yaml in ["{sampling_percentage: 0}", "{sampling_percentage: 100}", "{mode: equalizing, sampling_percentage: 1}"]
    {
        let decider = decider(yaml);
        let kept = decider.decide(&asked(Threshold::ALWAYS));
        assert!(kept.is_kept && kept.policy == Policy::SamplingPriority, "{yaml}");
        assert_eq!(kept.carries.unwrap().threshold, Threshold::ALWAYS);
        assert!(!decider.decide(&asked(Threshold::NEVER)).is_kept, "{yaml}");
        let unsound = Known { trace_id: None, ..asked(Threshold::ALWAYS) };
        assert!(decider.decide(&unsound).is_kept, "{yaml}");
    }
}

#[test]
fn the_hash_is_the_collectors() {
    // FNV-1a over the seed in four bytes and the ID; computed by hand from the definition.
    let seeded = fnv1a(FNV_BASIS, &0_u32.to_le_bytes());
    let randomness = hashed(&[], seeded);
    let hash = (0..4).fold(0x811c_9dc5_u32, |hash, _| hash.wrapping_mul(0x0100_0193));
    assert_eq!(randomness.bits() & 0x3fff, u64::from(hash & 0x3fff));
    assert_eq!(randomness.bits() >> 42, 0x3fff - u64::from(hash & 0x3fff));
    // As the Collector (0.145) writes it for this ID.
    let id = 0xd23f_0824_128b_2f33_0c5c_7fd0_a6a3_a450_u128.to_be_bytes();
    assert_eq!(hashed(&id, seeded).bits(), 0x00ce_7017_eefa_cc63);
}

#[test]
fn a_floor_raises_thresholds_in_every_mode_and_is_written_down() {
    let floor = Threshold::parse("c").unwrap();
    for mode in ["hash_seed", "equalizing", "proportional"] {
        for (percentage, expected) in [(100, 0.25), (50, 0.25), (10, 0.1)] {
            let decider = decider(&format!("{{mode: {mode}, sampling_percentage: {percentage}, hash_seed: 7}}"));
            let (mut kept, mut shed, mut stands_for, mut without) = (0_u32, 0_u32, 0.0, 0_u32);
            for number in 0..20_000 {
                let id = trace_id(number);
                let item = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
                let (plain, decision) = (decider.decide(&item), decider.decide_above(&item, floor));
                assert!(!decision.is_kept || plain.is_kept, "what is kept under pressure is kept without");
                assert_eq!(decision.is_shed, plain.is_kept && !decision.is_kept);
                without += u32::from(plain.is_kept);
                shed += u32::from(decision.is_shed);
                if decision.is_kept {
                    kept += 1;
                    stands_for += decision.carries.unwrap().threshold.adjusted_count();
                }
            }
            assert_eq!(kept + shed, without);
            let found = f64::from(kept) / 20_000.0;
            assert!((found - expected).abs() < 0.015, "{mode} {percentage}: {found}");
            assert!((stands_for / 20_000.0 - 1.0).abs() < 0.06, "{mode} {percentage}: {stands_for}");
        }
    }
}

#[test]
fn a_floor_leaves_alone_what_it_could_not_be_written_for() {
    let open = decider("{mode: equalizing, sampling_percentage: 100, fail_closed: false}");
    let missing = Known { is_readable: true, ..Known::default() };
    assert!(open.decide_above(&missing, Threshold::NEVER).is_kept);
    let id = [0xff; 16];
    let item = Known { trace_id: Some(&id), is_readable: true, ..Known::default() };
    let decision = open.decide_above(&item, Threshold::NEVER);
    assert!(!decision.is_kept && decision.is_shed);
}
