//! What a signature is: whatever this program accepts, `ssh-keygen` accepts, and it is written in one way.

use std::time::Instant;

use metadata_image::trust::{signature::Signature, verify::verify};

use crate::{
    fuzz_targets::trust::{ECDSA_SIGNATURE, MANIFEST, RSA_SIGNATURE, contents},
    signers::{Count, IDENTITY, Random, SEED, Signed, all_allowed, keygen, mutate, sandbox, signed},
    support::cases,
};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let number =
            (0..3).fold(0, |number, at| number << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        (0..4).map(
            move |at| if at > chunk.len() { '=' } else { char::from(BASE64[number >> (18 - 6 * at) & 63]) },
        )
    });
    digits.collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    let digits: Vec<_> =
        text.bytes().filter_map(|byte| BASE64.iter().position(|digit| *digit == byte)).collect();
    let bytes = digits.chunks(4).flat_map(|chunk| {
        let number = (0..4).fold(0, |number, at| number << 6 | chunk.get(at).copied().unwrap_or(0));
        (0..chunk.len() - 1).map(move |at| u8::try_from(number >> (16 - 8 * at) & 0xff).unwrap())
    });
    bytes.collect()
}

/// The text of a signature with these bytes, in lines of so many characters.
fn armour(blob: &[u8], width: usize) -> String {
    let base64 = base64(blob);
    let lines = base64.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
    let lines = lines.map(|line| line.to_owned() + "\n").collect::<String>();
    format!("-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n")
}

fn blob(signature: &str) -> Vec<u8> {
    let inner = signature.strip_prefix("-----BEGIN SSH SIGNATURE-----").unwrap();
    from_base64(inner.strip_suffix("-----END SSH SIGNATURE-----\n").unwrap())
}

/// The strings of the SSH protocol in `bytes`, and what is left.
fn split(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut strings = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>()
        && let Some((string, rest)) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)
    {
        strings.push(string.to_vec());
        bytes = rest;
    }
    (strings, bytes.to_vec())
}

fn join(strings: &[Vec<u8>], rest: &[u8]) -> Vec<u8> {
    let strings = strings
        .iter()
        .flat_map(|string| [&u32::try_from(string.len()).unwrap().to_be_bytes()[..], string].concat());
    strings.chain(rest.iter().copied()).collect()
}

/// Changes one of the strings, or of the strings in it.
fn mutate_strings(random: &mut Random, strings: &mut Vec<Vec<u8>>, rest: &mut Vec<u8>, depth: usize) {
    let at = random.below(strings.len());
    let (inner, mut inner_rest) = split(&strings[at]);
    if depth > 0 && !inner.is_empty() && !random.once_in(3) {
        let mut inner = inner;
        mutate_strings(random, &mut inner, &mut inner_rest, depth - 1);
        strings[at] = join(&inner, &inner_rest);
        return;
    }
    match random.below(9) {
        0 => strings[at].insert(0, 0),
        1 => strings[at].push(0),
        2 => rest.extend_from_slice(random.of(&[&[0][..], &[0; 4], &[0xff; 9]])),
        3 => strings[at].clear(),
        4 => strings[at] = random.of(&[&b"sha256"[..], b"sha512", b"sha1", b"md5", b"SHA512"]).to_vec(),
        5 => {
            let names: &[&[u8]] = &[
                b"ssh-rsa",
                b"rsa-sha2-256",
                b"rsa-sha2-512",
                b"ssh-ed25519",
                b"ecdsa-sha2-nistp256",
                b"nistp256",
                b"nistp384",
                b"sk-ssh-ed25519@openssh.com",
                b"ssh-rsa-cert-v01@openssh.com",
                b"metadata-image\0",
                b"file",
                b"ssh:",
                b"x",
            ];
            strings[at] = random.of(names).to_vec();
        }
        6 => {
            let other = random.below(strings.len());
            strings.swap(at, other);
        }
        7 => drop(strings.pop()),
        _ => mutate(random, &mut strings[at]),
    }
}

fn mutated(random: &mut Random, signature: &str) -> Vec<u8> {
    const HEAD: usize = 10;
    let mut blob = blob(signature);
    match random.below(12) {
        0 => {}
        // The version, or the magic.
        1 => blob[random.below(HEAD)] ^= 1 << random.below(8),
        2 | 3 => {
            let width = [64, 68, 69, 70, 71, 72, 76, 10_000][random.below(8)];
            return armour(&blob, width).into_bytes();
        }
        4..=6 => {
            let mut text = signature.to_owned();
            match random.below(10) {
                0 => text = text.replace('\n', "\r\n"),
                1 => text.insert_str(
                    0,
                    random.of(&["\n", " ", "x\n", "\u{feff}", "-----BEGIN SSH SIGNATURE-----\n"]),
                ),
                2 => text += random.of(&["\n", " ", "x\n", "\0", "-----END SSH SIGNATURE-----\n"]),
                3 => drop(text.pop()),
                4 => {
                    text = text.replace(
                        "SSH SIGNATURE",
                        random.of(&["SSH  SIGNATURE", "ssh signature", "PRIVATE KEY"]),
                    );
                }
                5 => {
                    text = text.replacen(
                        '\n',
                        random.of(&["\n\n", " \n", "\n ", "\r\n", ""]),
                        1 + random.below(5),
                    );
                }
                6 => text.insert_str(0, &"reiserfs\n".repeat(7000)),
                _ => {
                    let mut bytes = text.into_bytes();
                    mutate(random, &mut bytes);
                    return bytes;
                }
            }
            return text.into_bytes();
        }
        7 => mutate(random, &mut blob),
        _ => {
            let (mut strings, mut rest) = split(&blob[HEAD..]);
            for _ in 0..=random.below(5) / 4 {
                if !strings.is_empty() {
                    mutate_strings(random, &mut strings, &mut rest, 2);
                }
            }
            blob.truncate(HEAD);
            blob.extend(join(&strings, &rest));
        }
    }
    armour(&blob, 70).into_bytes()
}

#[test]
#[ignore = "needs ssh-keygen"]
fn of_mutated_signatures_none_is_read_laxer_than_by_ssh_keygen() {
    println!("seed {SEED}");
    let all = signed();
    let sandbox = sandbox(&all);
    let (lines, terms) = all_allowed(&all);
    sandbox.write("allowed", &lines);
    let mut count = Count::default();
    let total = cases(600, 2000);
    for number in 0..total {
        let random = &mut Random::new(number as u64);
        let Signed { signature, .. } = &all[random.below(all.len())];
        let bytes = mutated(random, signature);
        let ours = verify(&contents(MANIFEST.as_bytes(), &bytes), &terms).is_ok();
        let path = sandbox.write("signature", &bytes);
        let theirs = keygen(&sandbox, IDENTITY, &path);
        count.add(ours, theirs, &|| format!("signature {number}: {}", String::from_utf8_lossy(&bytes)));
        // The only text of these bytes.
        assert!(!ours || bytes == armour(&blob(str::from_utf8(&bytes).unwrap()), 70).as_bytes());
    }
    println!("{count:?}");
    assert!(count.both > total / 20 && count.none > total / 2 && count.only_keygen > total / 40, "{count:?}");
}

#[test]
fn a_signature_has_one_spelling() {
    for Signed { signature, .. } in signed() {
        let parse =
            |text: &str| Signature::parse(text.as_bytes()).map(drop).map_err(|error| format!("{error:#}"));
        assert_eq!(parse(&signature), Ok(()));
        assert_eq!(armour(&blob(&signature), 70), signature);
        let spelling = Err("ssh-keygen writes this signature differently".to_owned());
        let none = Err("not a supported signature of ssh-keygen".to_owned());
        assert_eq!(parse(&format!("\n{signature}")), spelling);
        assert_eq!(parse(&("ReIsEr2Fs\n".repeat(6000) + &signature)), spelling);
        assert_eq!(parse(&signature.replace('\n', "\r\n")), spelling);
        assert_eq!(parse(&format!("{signature}\n")), none);
        assert_eq!(parse(&format!("{signature}x")), none);
        assert_eq!(parse(signature.trim_end()), spelling);
        assert_eq!(parse(&armour(&blob(&signature), 64)), spelling);
        let mut zero = blob(&signature);
        zero[9] = 0;
        assert_eq!(
            parse(&armour(&zero, 70)),
            Err("the signature has version 0; only version 1 is supported".to_owned())
        );
        let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let blob = blob(&signature);
            let (mut strings, rest) = split(&blob[10..]);
            change(&mut strings);
            parse(&armour(&[&blob[..10], &join(&strings, &rest)].concat(), 70))
        };
        let reserved = with(&|strings| strings[2] = b"x".to_vec());
        assert_eq!(reserved, Err("the reserved field of the signature is not empty".to_owned()));
        for at in [0, 4] {
            assert_eq!(with(&|strings| strings[at].push(0)), none, "trailing bytes in {at}");
        }
        assert_eq!(with(&|strings| strings.push(Vec::new())), none, "trailing bytes");
        assert_eq!(with(&|strings| strings[3] = b"sha1".to_vec()), none);
    }
}

/// Signatures with keys that OpenSSH does not accept, or that only cost time.
#[test]
fn a_signature_by_an_odd_key_is_refused_at_once() {
    let rsa = |bytes: usize, algorithm: &str| {
        let blob = blob(RSA_SIGNATURE);
        let (mut strings, rest) = split(&blob[10..]);
        let mut modulus = vec![0xff; bytes];
        modulus.insert(0, 0);
        strings[0] = join(&[b"ssh-rsa".to_vec(), vec![1, 0, 1], modulus], &[]);
        strings[4] = join(&[algorithm.as_bytes().to_vec(), vec![0x7f; bytes]], &[]);
        armour(&[&blob[..10], &join(&strings, &rest)].concat(), 70)
    };
    let (_, terms) = all_allowed(&signed());
    let verify = |signature: &str| {
        let start = Instant::now();
        let verified = verify(&contents(MANIFEST.as_bytes(), signature.as_bytes()), &terms);
        let took = start.elapsed();
        println!("{} bytes of signature took {took:?}", signature.len());
        assert!(took.as_secs() < 1, "{took:?}");
        format!("{:#}", verified.unwrap_err())
    };
    let cannot = "checking manifest.json.sig: checking the signing key: the RSA key has ";
    assert_eq!(
        verify(&rsa(22_000, "rsa-sha2-512")),
        format!("{cannot}176000 bits; OpenSSH accepts 1024 to 16384")
    );
    assert_eq!(
        verify(&rsa(127, "rsa-sha2-512")),
        format!("{cannot}1016 bits; OpenSSH accepts 1024 to 16384")
    );
    assert_eq!(
        verify(&rsa(2048, "rsa-sha2-512")),
        "checking manifest.json.sig: the RSA key has 16384 bits; at most 8192 are supported"
    );
    assert_eq!(
        verify(&rsa(256, "ssh-rsa")),
        "checking manifest.json.sig: the algorithm \"ssh-rsa\" does not fit the signing key"
    );
    let stranger = verify(&rsa(1024, "rsa-sha2-512"));
    assert!(stranger.contains("the signing key is not listed in"), "{stranger}");
    // A point without its second half, and the sign of that.
    let compressed = {
        let blob = blob(ECDSA_SIGNATURE);
        let (mut strings, rest) = split(&blob[10..]);
        let (mut key, _) = split(&strings[0]);
        let sign = 2 + (key[2][64] & 1);
        key[2].truncate(33);
        key[2][0] = sign;
        strings[0] = join(&key, &[]);
        armour(&[&blob[..10], &join(&strings, &rest)].concat(), 70)
    };
    assert_eq!(
        verify(&compressed),
        "checking manifest.json.sig: checking the signing key: the key is compressed, which OpenSSH does not accept"
    );
}
