//! Against the definition, computed in another way, and against what the Collector's code (0.157) computes.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("endpoint-{number}")).collect()
}

/// CRC-32 bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |state, byte| {
        (0..8).fold(
            state ^ u32::from(*byte),
            |state, _| if state & 1 == 1 { (state >> 1) ^ 0xedb8_8320 } else { state >> 1 },
        )
    })
}

/// As the module's head defines it, place by place.
fn by_definition(names: &[String]) -> BTreeMap<u32, String> {
    let mut wanted = BTreeMap::new();
    for name in names {
        for number in 0..POINTS {
            let hash = crc(&[name.as_bytes(), &number.to_le_bytes()].concat());
            wanted.insert((hash % PLACES, hash, name.clone(), number), ());
        }
    }
    let mut places = BTreeMap::new();
    for ((place, _, name, _), ()) in wanted {
        let free = (place..place + PROBES_MAX).map(|place| place % PLACES).find(|place| !places.contains_key(place));
        if let Some(free) = free {
            places.insert(free, name);
        }
    }
    places
}

/// CRC-32 of a text that names every point.
fn fingerprint(names: &[String]) -> (usize, u32) {
    let ring = Ring::new(names);
    let text = ring.points.iter().fold(String::new(), |mut text, (place, owner)| {
        write!(text, "{place}={};", names[*owner]).unwrap();
        text
    });
    (ring.points.len(), crc(text.as_bytes()))
}

#[test]
fn the_checksum_is_the_standards() {
    assert_eq!(Crc32::default().with(b"123456789").sum(), 0xcbf4_3926);
    assert_eq!(Crc32::default().sum(), 0);
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(Crc32::default().with(&bytes[..7]).with(&bytes[7..]).sum(), crc(&bytes));
}

#[test]
fn points_stand_where_the_definition_says() {
    for count in [1, 2, 3, 10, 300] {
        let names = names(count);
        let ring = Ring::new(&names);
        let points: BTreeMap<u32, String> =
            ring.points.iter().map(|(place, owner)| (*place, names[*owner].clone())).collect();
        assert_eq!(points, by_definition(&names));
    }
}

#[test]
fn points_stand_where_the_collectors_do() {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(fingerprint(&list(&["endpoint-1", "endpoint-2"])), (400, 0xc70a_81a6));
    assert_eq!(fingerprint(&list(&["10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.3:4317"])), (600, 0x7b2f_71c6));
    assert_eq!(fingerprint(&list(&["a", "a"])), (400, 0x11ee_20c3));
    assert_eq!(fingerprint(&names(300)), (60_000, 0x90f7_661d));
}

#[test]
fn keys_belong_to_whom_the_collector_gives_them() {
    let counting: Vec<u8> = (0..16).collect();
    let keys: [&[u8]; 6] =
        [&[1, 2, 0, 0], &[128, 128, 0, 0], b"ad-service-7", b"get-recommendations-1", b"", &counting];
    let two = Ring::new(&["endpoint-1", "endpoint-2"]);
    assert_eq!(keys.map(|key| two.owner(key).unwrap() + 1), [2, 1, 2, 2, 2, 1]);
    let three = Ring::new(&["10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.3:4317"]);
    assert_eq!(keys.map(|key| three.owner(key).unwrap() + 1), [3, 1, 3, 2, 1, 3]);
    assert_eq!(Ring::new::<&str>(&[]).owner(b"key"), None);
}

#[test]
fn the_order_of_names_does_not_matter() {
    let forth = names(50);
    let back: Vec<String> = forth.iter().rev().cloned().collect();
    assert_eq!(fingerprint(&forth), fingerprint(&back));
}

/// Trace IDs as generators make them, deterministic.
fn trace_ids(count: u64) -> impl Iterator<Item = [u8; 16]> {
    (0..count).map(|number| {
        let mix = |seed: u64| {
            let mixed = (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
            mixed ^ (mixed >> 29)
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&mix(1).to_be_bytes());
        id[8..].copy_from_slice(&mix(0xabcd_ef01_2345).to_be_bytes());
        id
    })
}

#[test]
fn the_skew_is_small() {
    for (count, ids, deviation_max, ratio_max) in
        [(3, 30_000, 0.12, 1.35), (10, 20_000, 0.10, 1.35), (100, 50_000, 0.10, 1.70), (300, 100_000, 0.12, 1.95)]
    {
        let ring = Ring::new(&names(count));
        let mut counts = vec![0_u64; count];
        trace_ids(ids).for_each(|id| counts[ring.owner(&id).unwrap()] += 1);
        let mean = ids as f64 / count as f64;
        let variance = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / count as f64;
        let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
        let ratio = most as f64 / least as f64;
        assert!(variance.sqrt() / mean <= deviation_max, "{count} endpoints: {}", variance.sqrt() / mean);
        assert!(ratio <= ratio_max, "{count} endpoints: between {least} and {most}");
    }
}

#[test]
fn little_moves_when_an_endpoint_goes_and_comes_back() {
    let all = names(10);
    let fewer: Vec<String> = all.iter().filter(|name| *name != "endpoint-4").cloned().collect();
    let (before, after) = (Ring::new(&all), Ring::new(&fewer));
    let (mut moved, mut moved_for_nothing, mut total) = (0, 0, 0);
    for id in trace_ids(50_000) {
        let (from, to) = (&all[before.owner(&id).unwrap()], &fewer[after.owner(&id).unwrap()]);
        total += 1;
        moved += u32::from(from != to);
        moved_for_nothing += u32::from(from != to && from != "endpoint-4");
    }
    // Its share, a tenth. Points that had made way for its points move back, which few keys notice.
    assert!((4_000..6_000).contains(&moved), "{moved} of {total}");
    assert!(moved_for_nothing < 50, "{moved_for_nothing} of {total}");
    assert_eq!(Ring::new(&all), before);
}
