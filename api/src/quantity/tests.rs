//! Rows and properties of quantities.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn is_written_in_canonical_form() {
    let rows = [
        ("0", "0"),
        ("-0", "0"),
        ("0.0Ki", "0"),
        ("100m", "100m"),
        ("1500m", "1500m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("+5", "5"),
        ("-5", "-5"),
        ("005", "5"),
        ("1.", "1"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("1025Ki", "1025Ki"),
        ("0.5Ki", "512"),
        ("1023", "1023"),
        ("1000Ki", "1000Ki"),
        ("1Ei", "1Ei"),
        ("0.1Ki", "102400m"),
        ("1.1Ki", "1126400m"),
        ("0.00001Ki", "10240u"),
        ("-1.5Gi", "-1536Mi"),
        ("1000", "1k"),
        ("12000000", "12M"),
        ("12E", "12E"),
        ("1000E", "1e21"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1e+3", "1e3"),
        ("1.5e3", "1500"),
        ("12e6", "12e6"),
        ("1e4", "10e3"),
        ("1e-3", "1e-3"),
        ("100e-3", "100e-3"),
        ("5000000n", "5m"),
        ("100u", "100u"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1.0000000001", "1000000001n"),
        ("1e-30", "1e-9"),
        ("0.000000000000000000000000000001e30", "1"),
        ("100000000000000000000000000000000000000e-38", "1"),
        ("9223372036854775807", "9223372036854775807"),
        ("12Ei", "9223372036854775807"),
        ("-12Ei", "-9223372036854775807"),
        ("1e2000000000", "10e27"),
        ("1e-2000000000", "1e-9"),
        ("0e2000000000", "0"),
    ];
    for (text, canonical) in rows {
        assert_eq!(quantity(text).to_string(), canonical, "{text:?}");
    }
}

#[test]
fn refuses_what_kubernetes_refuses() {
    let form = [
        "", " ", "-", "+", ".", "m", "Ki", "1.1.M", "1+1.0M", "0.1am", "aoeu", " 1", "1 ", "1 k", "--1",
        "1_000", "0x10", "1g", "٣", "1é", "1e3m",
    ];
    for text in form {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Form), "{text:?}");
    }
    let suffix =
        ["0.1mi", ".5i", "1i", "-3.01i", "-3.01e-", "1e", "1K", "1mm", "1k3", "1-3", "1e99999999999"];
    for text in suffix {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Suffix), "{text:?}");
    }
}

#[test]
fn counts_whole_units_and_thousandths_rounding_away_from_zero() {
    let rows = [
        ("0", 0, 0),
        ("1", 1, 1000),
        ("100m", 1, 100),
        ("1n", 1, 1),
        ("-1n", -1, -1),
        ("1500m", 2, 1500),
        ("1500001u", 2, 1501),
        ("1Ki", 1024, 1_024_000),
        ("10E", i64::MAX, i64::MAX),
        ("-10E", i64::MIN, i64::MIN),
    ];
    for (text, value, millis) in rows {
        assert_eq!((quantity(text).value(), quantity(text).millis()), (value, millis), "{text:?}");
    }
}

#[test]
fn adds_and_subtracts_keeping_the_format_of_the_first() {
    let sum = |a: &str, b: &str| quantity(a).checked_add(quantity(b)).map(|sum| sum.to_string());
    assert_eq!(sum("100m", "900m").as_deref(), Some("1"));
    assert_eq!(sum("1Gi", "512Mi").as_deref(), Some("1536Mi"));
    assert_eq!(sum("1Gi", "1073741824").as_deref(), Some("2Gi"));
    assert_eq!(sum("0", "1Gi").as_deref(), Some("1Gi"));
    assert_eq!(sum("1e28", "1n"), None);
    let huge = quantity("1e28");
    assert_eq!(huge.saturating_add(huge), huge);
    assert_eq!(huge.negated().saturating_sub(huge), huge.negated());
    assert_eq!(quantity("1Gi").checked_sub(quantity("1Gi")), Some(Quantity::ZERO));
    assert_eq!(quantity("1").checked_sub(quantity("2")).unwrap().to_string(), "-1");
}

#[test]
fn is_read_from_strings_and_numbers() {
    let rows = [
        (r#""100m""#, "100m"),
        ("2", "2"),
        ("-2", "-2"),
        ("0.1", "100m"),
        ("1e3", "1k"),
        ("18446744073709551615", "18446744073709551615"),
        ("null", "0"),
    ];
    for (json, canonical) in rows {
        let quantity: Quantity = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&quantity).unwrap(), format!("{canonical:?}"), "{json}");
    }
    assert!(serde_json::from_str::<Quantity>("true").is_err());
    let error = serde_json::from_str::<Quantity>(r#""1x""#).unwrap_err().to_string();
    assert!(error.starts_with("quantities must match the regular expression '^("), "{error}");
    assert_eq!(Quantity::try_from(&ApiQuantity("1Gi".into())), Ok(quantity("1Gi")));
}

const SUFFIXES: [&str; 16] =
    ["n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "e3", "E-2", "e0"];

fn written() -> impl Strategy<Value = String> {
    let number = "[+-]?([0-9]{1,12}(\\.[0-9]{0,6})?|\\.[0-9]{1,6})";
    (number, proptest::sample::select(&SUFFIXES[..])).prop_map(|(number, suffix)| number + suffix)
}

/// What the text says in billionths, by arithmetic on the digits as one integer.
fn nanos(text: &str) -> i128 {
    let suffix_start = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(suffix_start);
    let (multiplier, divisor) = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" | "e3" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (10_i128.pow(12), 1),
        "P" => (10_i128.pow(15), 1),
        "E" => (10_i128.pow(18), 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "E-2" => (1, 100),
        _ => (1, 1),
    };
    let negative = number.starts_with('-');
    let number = number.trim_start_matches(['+', '-']);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("0{whole}{fraction:0<6}").parse().unwrap();
    let dividend = digits.saturating_mul(multiplier * 1000);
    let rounded = dividend / divisor + i128::from(dividend % divisor != 0);
    if negative { -rounded } else { rounded }
}

proptest! {
    #[test]
    fn means_what_its_digits_say(text in written()) {
        prop_assume!(!text.ends_with('i') || nanos(&text).abs() <= LARGEST_BINARY_NANOS);
        let expected = nanos(&text).clamp(-LARGEST_NANOS, LARGEST_NANOS);
        prop_assert_eq!(quantity(&text).nanos, expected);
    }

    #[test]
    fn reads_back_what_it_wrote(text in written()) {
        let first = quantity(&text);
        let canonical = first.to_string();
        let second = quantity(&canonical);
        prop_assert_eq!(first, second);
        prop_assert_eq!(&second.to_string(), &canonical);
    }

    #[test]
    fn compares_as_the_numbers_do(a in written(), b in written()) {
        prop_assert_eq!(quantity(&a).cmp(&quantity(&b)), quantity(&a).nanos.cmp(&quantity(&b).nanos));
    }

    #[test]
    fn subtracting_undoes_adding(a in written(), b in written()) {
        let (a, b) = (quantity(&a), quantity(&b));
        prop_assume!(a.nanos.abs().max(b.nanos.abs()) < LARGEST_NANOS / 2);
        prop_assert_eq!(a.checked_add(b).and_then(|sum| sum.checked_sub(b)), Some(a));
    }

    #[test]
    fn never_panics(text in "\\PC*|[+-]?[0-9.]{0,60}[eEinumkKMGTP+-]{0,3}[0-9]{0,12}") {
        let _ = text.parse::<Quantity>();
    }
}
