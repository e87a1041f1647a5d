//! Which of the available versions is meant, and how Debian orders versions.

use std::cmp::Ordering;

use crate::types::{Pin, Version};

/// The newest of the package manager's version strings (`1:7.58.2-1`) that fulfils the pin; without one, the newest
/// release. Pre-releases are only chosen where they are asked for. Strings that are no versions are passed over.
pub fn choose<'a>(available: impl IntoIterator<Item = &'a str>, pin: Option<&Pin>) -> Option<&'a str> {
    let versions = available.into_iter().filter_map(|text| Some((text.parse::<Version>().ok()?, text)));
    let wanted = versions.filter(|(version, _)| match pin {
        Some(pin) => pin.matches(version),
        None => version.is_release(),
    });
    let newest = wanted.max_by(|(a, a_text), (b, b_text)| {
        let numbers = |v: &Version| (v.major, v.minor, v.patch);
        let by_number = numbers(a).cmp(&numbers(b));
        by_number.then_with(|| compare_debian(a_text, b_text))
    });
    newest.map(|(_, text)| text)
}

/// Orders version strings as dpkg does (deb-version(7)): epoch, version, revision; digits as numbers, `~` before the end.
pub fn compare_debian(a: &str, b: &str) -> Ordering {
    fn parts(text: &str) -> (u64, &str, &str) {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (version, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), version, revision)
    }
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0)
        .then_with(|| compare_part(a.1.as_bytes(), b.1.as_bytes()))
        .then_with(|| compare_part(a.2.as_bytes(), b.2.as_bytes()))
}

fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    // The end and digits are 0, `~` is less than the end, letters come before all other signs.
    fn weight(c: Option<&u8>) -> i32 {
        match c {
            None | Some(b'0'..=b'9') => 0,
            Some(b'~') => -1,
            Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
            Some(c) => i32::from(*c) + 256,
        }
    }
    fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
        let end = text.iter().position(|c| !c.is_ascii_digit());
        let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
        *text = rest;
        let zeros = digits.iter().take_while(|c| **c == b'0').count();
        &digits[zeros..]
    }
    let is_text = |c: Option<&u8>| c.is_some_and(|c| !c.is_ascii_digit());
    while !a.is_empty() || !b.is_empty() {
        while is_text(a.first()) || is_text(b.first()) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order.is_ne() {
                return order;
            }
            // Equal weights of text are equal signs, so both have one.
            (a, b) = (&a[1..], &b[1..]);
        }
        let (x, y) = (number(&mut a), number(&mut b));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const AVAILABLE: [&str; 9] = [
        "1:7.20.1-1",
        "1:7.20.2-1",
        "1:7.9.0-1",
        "1:7.58.0-1",
        "1:7.58.0-2",
        "1:7.59.0~rc.5-1",
        "1:7.200.0~rc.1-1",
        "1:7.35.0~rc.5-1",
        "nonsense",
    ];

    fn chosen(minor: &str) -> Option<&'static str> {
        choose(AVAILABLE, Some(&Pin::agent(7, minor).unwrap()))
    }

    #[test]
    fn a_minor_version_means_its_newest_patch() {
        assert_eq!(chosen("20"), Some("1:7.20.2-1"));
        assert_eq!(chosen("58"), Some("1:7.58.0-2"));
        assert_eq!(chosen("59"), None, "a release candidate is no release");
        assert_eq!(chosen("2"), None);
    }

    #[test]
    fn an_exact_version_means_just_that() {
        assert_eq!(chosen("20.1"), Some("1:7.20.1-1"));
        assert_eq!(chosen("20.0"), None);
        assert_eq!(chosen("35.0~rc.5"), Some("1:7.35.0~rc.5-1"));
        assert_eq!(chosen("35.0"), None);
    }

    #[test]
    fn without_a_wish_the_newest_release_is_taken() {
        assert_eq!(choose(AVAILABLE, None), Some("1:7.58.0-2"));
        assert_eq!(choose(["1:7.60.0~rc.1-1"], None), None);
        assert_eq!(choose(["7.60.0+corp1-1"], None), Some("7.60.0+corp1-1"));
    }

    #[test]
    fn what_is_no_minor_version_is_refused() {
        for bad in ["", "x", "20.", ".1", "20.1.1", "20 ", "20;id", "1:20.1", "99999999999", "20~rc.1", "-1"] {
            assert!(Pin::agent(7, bad).is_err(), "{bad}");
        }
        assert_eq!(Pin::version("1.1").unwrap(), Pin::Minor { major: 1, minor: 1 });
        let exact = Pin::Exact(Version::new(7, 58, 2));
        assert_eq!(Pin::version("7.58.2").unwrap(), exact);
        assert_eq!(Pin::version("1:7.58.2-1").unwrap(), exact);
        assert!(Pin::version("latest").is_err());
    }

    #[test]
    fn versions_stand_in_dpkgs_order() {
        let ordered = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0-1",
            "0a",
            "0+",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1a",
            "1.0-1+b1",
            "1.0-1.1",
            "1.2",
            "1.10",
            "1.10.1",
            "010.0",
            "10.1",
            "1:0.1",
            "2:0",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(compare_debian(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare_debian("1.01-0", "1.1"), Ordering::Equal);
    }
}
