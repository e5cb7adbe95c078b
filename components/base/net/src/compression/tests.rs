use super::*;
use pdata::ByteAccount;

const ALL: [Algorithm; 5] =
    [Algorithm::Gzip, Algorithm::Zlib, Algorithm::Zstd, Algorithm::SnappyBlock, Algorithm::SnappyFramed];

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| b"weir "[index % 5] ^ u8::try_from(index / 977 % 7).unwrap_or(0)).collect()
}

async fn compressed(algorithm: Algorithm, input: &[u8]) -> Vec<u8> {
    let middle = input.len() / 3;
    let rope = [Bytes::copy_from_slice(&input[..middle]), Bytes::copy_from_slice(&input[middle..])];
    deflate(algorithm, None, &rope).await.expect("compresses")
}

#[tokio::test]
async fn every_algorithm_round_trips_and_charges_what_it_holds() {
    for algorithm in ALL {
        for bytes in [0, 1, 4095, 4096, 100_000, 3_000_000] {
            let input = text(bytes);
            let packed = compressed(algorithm, &input).await;
            let account = ByteAccount::unlimited();
            let mut charge = account.try_charge(packed.len()).unwrap();
            let output = inflate(algorithm, packed, bytes, &mut charge).await.unwrap();
            assert!(output == input, "{algorithm:?} {bytes}");
            assert_eq!(charge.bytes(), output.capacity(), "{algorithm:?} {bytes}");
            assert!(output.capacity() <= bytes / 3 * 4 + 8192, "{algorithm:?} {bytes} {}", output.capacity());
        }
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit_and_before_the_memory_is_taken() {
    let bomb = vec![0; 64 << 20];
    for algorithm in ALL {
        let packed = compressed(algorithm, &bomb).await;
        let account = ByteAccount::unlimited();
        let mut charge = account.try_charge(packed.len()).unwrap();
        let packed_bytes = packed.len();
        let error = inflate(algorithm, packed, 1 << 20, &mut charge).await.unwrap_err();
        assert!(matches!(error, InflateError::TooLarge { limit: 1_048_576 }), "{algorithm:?} {error}");
        assert!(account.peak() < packed_bytes + (4 << 20), "{algorithm:?} took {}", account.peak());
    }
}

#[tokio::test]
async fn inflation_stops_when_the_account_is_full() {
    let bomb = vec![0; 16 << 20];
    for algorithm in ALL {
        let packed = compressed(algorithm, &bomb).await;
        let account = ByteAccount::new(packed.len() + (2 << 20));
        let mut charge = account.try_charge(packed.len()).unwrap();
        let error = inflate(algorithm, packed, 64 << 20, &mut charge).await.unwrap_err();
        assert!(matches!(error, InflateError::Overloaded(_)), "{algorithm:?} {error}");
        drop(charge);
        assert_eq!(account.held(), 0);
    }
}

#[tokio::test]
async fn garbage_and_truncated_bodies_are_malformed() {
    for algorithm in ALL {
        let whole = compressed(algorithm, &text(50_000)).await;
        let bad = [b"certainly not compressed, whatever the header says".to_vec(), whole[..whole.len() / 2].to_vec()];
        for input in bad {
            let account = ByteAccount::unlimited();
            let mut charge = account.try_charge(input.len()).unwrap();
            let error = inflate(algorithm, input, 1 << 20, &mut charge).await.unwrap_err();
            assert!(
                matches!(error, InflateError::Malformed(_) | InflateError::TooLarge { .. }),
                "{algorithm:?} {error}"
            );
        }
    }
}

#[tokio::test]
async fn snappy_is_recognised_in_both_formats() {
    let input = text(10_000);
    for (written, announced) in
        [(Algorithm::SnappyBlock, Algorithm::SnappyFramed), (Algorithm::SnappyFramed, Algorithm::SnappyBlock)]
    {
        let packed = compressed(written, &input).await;
        let mut charge = ByteAccount::unlimited().try_charge(packed.len()).unwrap();
        assert_eq!(inflate(announced, packed, 10_000, &mut charge).await.unwrap(), input);
    }
}

#[tokio::test]
async fn a_lying_size_does_not_reserve_memory() {
    // A gzip trailer that claims 4 GiB less one.
    let mut packed = compressed(Algorithm::Gzip, &text(100)).await;
    let end = packed.len();
    packed[end - 4..].fill(0xff);
    let account = ByteAccount::unlimited();
    let mut charge = account.try_charge(packed.len()).unwrap();
    assert!(inflate(Algorithm::Gzip, packed, 1 << 30, &mut charge).await.is_err());
    assert!(account.peak() <= 2 << 20, "{}", account.peak());
}

#[tokio::test]
async fn a_zstd_window_beyond_the_bound_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&vec![7; 20 << 20]).unwrap();
    let packed = encoder.finish().unwrap();
    let mut charge = ByteAccount::unlimited().try_charge(packed.len()).unwrap();
    let error = inflate(Algorithm::Zstd, packed, 64 << 20, &mut charge).await.unwrap_err();
    assert!(matches!(error, InflateError::Malformed(_)), "{error}");
}

/// What the one-call path must leave to the stream: several members (equal ones too), sizes that lie, bytes behind the end.
#[tokio::test]
async fn gzip_bodies_out_of_the_ordinary_are_read_as_streams() {
    let member = compressed(Algorithm::Gzip, &text(5000)).await;
    let account = ByteAccount::unlimited();
    let unpack = async |input: Vec<u8>| {
        let mut charge = account.try_charge(input.len()).unwrap();
        inflate(Algorithm::Gzip, input, 1 << 20, &mut charge).await
    };
    let twice = [&member[..], &member[..]].concat();
    assert_eq!(unpack(twice).await.unwrap(), [text(5000), text(5000)].concat());
    let mut lying = member.clone();
    let at = lying.len() - 4;
    lying[at..].copy_from_slice(&4000_u32.to_le_bytes());
    assert!(matches!(unpack(lying).await, Err(InflateError::Malformed(_))));
    let mut damaged = member.clone();
    damaged[40] ^= 0x55;
    assert!(matches!(unpack(damaged).await, Err(InflateError::Malformed(_))));
    let garbage = [&member[..], b"0123456789abcdef"].concat();
    assert!(matches!(unpack(garbage).await, Err(InflateError::Malformed(_))));
    assert_eq!(unpack(member.clone()).await.unwrap(), text(5000));
    assert_eq!(account.held(), 0, "charges are given back on every way");
}
