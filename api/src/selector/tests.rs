//! Rows and properties of selectors.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use proptest::prelude::*;

use super::*;

fn labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect()
}

fn selector(text: &str) -> LabelSelector {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn label_selectors_are_written_in_canonical_form() {
    let rows = [
        ("", ""),
        ("  ", ""),
        ("a=b", "a=b"),
        ("a==b", "a=b"),
        (" a = b , c != d ", "a=b,c!=d"),
        ("z,y", "y,z"),
        ("e in (y,x,y)", "e in (x,y)"),
        ("e notin ( x )", "e notin (x)"),
        ("!f,g", "!f,g"),
        ("! f", "!f"),
        ("a>1,b<20", "a>1,b<20"),
        ("a=", "a="),
        ("a=,b", "a=,b"),
        ("a!=", "a!="),
        ("a in (,x)", "a in (,x)"),
        ("a in (x,)", "a in (,x)"),
        ("a in (,,)", "a in (,)"),
        ("in in (in,notin),notin", "in in (in,notin),notin"),
        ("a\t=\n\rb", "a=b"),
        ("example.com/a=b", "example.com/a=b"),
        ("tier in (a),tier=b", "tier=b,tier in (a)"),
    ];
    for (text, canonical) in rows {
        assert_eq!(selector(text).to_string(), canonical, "{text:?}");
    }
}

#[test]
fn label_selectors_say_what_is_wrong() {
    let rows = [
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a=!b", "unable to parse requirement: found '!', expected: identifier"),
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("a in x", "unable to parse requirement: found 'x', expected: '('"),
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (x y)", "unable to parse requirement: found 'y', expected: ',' or ')'"),
        (
            "a in ()",
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, \
             values set can't be empty",
        ),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' \
             operators, the value must be an integer",
        ),
        (
            "a>+1",
            "unable to parse requirement: values[0]: Invalid value: \"+1\": for 'Gt', 'Lt' \
             operators, the value must be an integer",
        ),
        ("/a", "unable to parse requirement: key: Invalid value: \"/a\": prefix part must be non-empty"),
    ];
    for (text, message) in rows {
        assert_eq!(text.parse::<LabelSelector>().unwrap_err().to_string(), message, "{text:?}");
    }
    let error = "a=-b".parse::<LabelSelector>().unwrap_err().to_string();
    let start = "unable to parse requirement: values[0][a]: Invalid value: \"-b\": a valid label must";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn label_selectors_choose() {
    let rows = [
        ("", "", true),
        ("", "a=b", true),
        ("a=b", "a=b", true),
        ("a=b", "a=c", false),
        ("a=b", "", false),
        ("a=", "", false),
        ("a=", "a=", true),
        ("a!=b", "a=c", true),
        ("a!=b", "", true),
        ("a!=b", "a=b", false),
        ("a in (b,c)", "a=c", true),
        ("a in (b,c)", "", false),
        ("a notin (b,c)", "", true),
        ("a notin (b,c)", "a=b", false),
        ("a", "a=", true),
        ("a", "b=", false),
        ("!a", "b=", true),
        ("!a", "a=", false),
        ("a>1", "a=2", true),
        ("a>1", "a=1", false),
        ("a>1", "a=x", false),
        ("a>1", "", false),
        ("a<10", "a=9", true),
        ("a<10", "a=10", false),
        ("a=b,c", "a=b,c=d", true),
        ("a=b,c", "a=b", false),
    ];
    for (text, present, chosen) in rows {
        assert_eq!(selector(text).matches(Some(&labels(present))), chosen, "{text:?} of {present:?}");
    }
    assert!(LabelSelector::everything().matches(None));
    assert!(!LabelSelector::nothing().matches(None));
    assert!(!LabelSelector::nothing().matches(Some(&labels("a=b"))));
    assert!(selector("!a").matches(None));
}

#[test]
fn nothing_is_never_read_back_as_everything() {
    let text = LabelSelector::nothing().to_string();
    assert!(text.parse::<LabelSelector>().is_err());
    assert!(LabelSelector::nothing().is_nothing() && !LabelSelector::nothing().is_everything());
}

#[test]
fn selectors_of_maps_want_all_labels() {
    let chosen = LabelSelector::from_map(&labels("app=web,tier=front"));
    assert_eq!(chosen.to_string(), "app=web,tier=front");
    assert!(LabelSelector::from_map(&BTreeMap::new()).is_everything());
}

#[test]
fn selectors_of_specs_join_labels_and_expressions() {
    let expression = |key: &str, operator: &str, values: &[&str]| meta::LabelSelectorRequirement {
        key: key.into(),
        operator: operator.into(),
        values: Some(values.iter().map(|value| (*value).into()).collect()),
    };
    let read = |expressions: Vec<_>| {
        LabelSelector::from_api(Some(&meta::LabelSelector {
            match_labels: Some(labels("app=web")),
            match_expressions: Some(expressions),
        }))
        .map_or_else(|error| error.to_string(), |selector| selector.to_string())
    };
    let rows = [
        (expression("a", "In", &["y", "x"]), "a in (x,y),app=web"),
        (expression("a", "NotIn", &["x"]), "a notin (x),app=web"),
        (expression("a", "Exists", &[]), "a,app=web"),
        (expression("z", "DoesNotExist", &[]), "app=web,!z"),
        (expression("a", "Equals", &["x"]), "\"Equals\" is not a valid label selector operator"),
        (
            expression("a", "Exists", &["x"]),
            "values: Invalid value: values set must be empty for exists and does not exist",
        ),
        (
            expression("a", "In", &[]),
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
    ];
    for (expression, outcome) in rows {
        assert_eq!(read(vec![expression.clone()]), outcome, "{expression:?}");
    }
    assert_eq!(LabelSelector::from_api(None), Ok(LabelSelector::nothing()));
    let empty = meta::LabelSelector::default();
    assert_eq!(LabelSelector::try_from(&empty), Ok(LabelSelector::everything()));
}

#[test]
fn labels_have_the_form_of_kubernetes() {
    let long = "x".repeat(64);
    let rows = [
        ("a", ""),
        ("A-b_c.9", ""),
        ("example.com/a", ""),
        ("", "name part must be non-empty; name part must consist of"),
        ("-a", "name part must consist of"),
        ("a-", "name part must consist of"),
        ("é", "name part must consist of"),
        ("a/b/c", "a qualified name must consist of"),
        ("/a", "prefix part must be non-empty"),
        ("Example/a", "prefix part a lowercase RFC 1123 subdomain must consist of"),
        ("a..b/a", "prefix part a lowercase RFC 1123 subdomain must consist of"),
        (&long, "name part must be no more than 63 characters"),
    ];
    for (key, wrong) in rows {
        let wrongs = check_label_key(key).join("; ");
        assert!(wrongs.starts_with(wrong) && wrongs.is_empty() == wrong.is_empty(), "{wrongs}");
    }
    assert!(check_label_value("").is_empty());
    assert!(check_label_value("My_value.1").is_empty());
    assert_eq!(check_label_value(&long), ["must be no more than 63 characters"]);
    assert_eq!(check_label_value("a b").len(), 1);
    assert!(is_dns_subdomain("a.b-c.9") && !is_dns_subdomain("a.-b") && !is_dns_subdomain(""));
    assert!(!is_dns_subdomain(&"a.".repeat(127)) && !is_dns_subdomain(&"a".repeat(254)));
}

#[test]
fn field_selectors_are_written_in_canonical_form() {
    let rows = [
        ("", Ok("")),
        ("metadata.name=web", Ok("metadata.name=web")),
        ("b==c,a!=d", Ok("a!=d,b=c")),
        (",a=b,,", Ok("a=b")),
        ("a=", Ok("a=")),
        (r"a=x\,y\=z\\", Ok(r"a=x\,y\=z\\")),
        ("a", Err("invalid selector: 'a'; can't understand 'a'")),
        ("a=b,!c", Err("invalid selector: 'a=b,!c'; can't understand '!c'")),
        (r"a=\x", Err(r"invalid field selector: invalid escape sequence: \x")),
        (r"a=b\", Err(r"invalid field selector: invalid escape sequence: \")),
        ("a=b=c", Err("invalid field selector: unescaped character in value: =")),
    ];
    for (text, outcome) in rows {
        let written = text.parse::<FieldSelector>().map(|selector| selector.to_string());
        let written = written.map_err(|error| error.to_string());
        assert_eq!(written.as_deref().map_err(String::as_str), outcome, "{text:?}");
    }
}

#[test]
fn field_selectors_choose_and_take_absent_fields_for_empty() {
    let fields = labels("metadata.name=web,spec.nodeName=");
    let rows = [
        ("", true),
        ("metadata.name=web", true),
        ("metadata.name!=web", false),
        ("metadata.name=web,spec.nodeName=", true),
        ("status.phase=", true),
        ("status.phase!=Running", true),
        ("status.phase=Running", false),
    ];
    for (text, chosen) in rows {
        let selector: FieldSelector = text.parse().unwrap();
        assert_eq!(selector.matches(|field| fields.get(field)), chosen, "{text:?}");
    }
    let selector: FieldSelector = "metadata.name=web,spec.nodeName!=a".parse().unwrap();
    assert_eq!(selector.required_value("metadata.name"), Some("web"));
    assert_eq!(selector.required_value("spec.nodeName"), None);
    assert_eq!(FieldSelector::equals("metadata.name", "a,b").to_string(), r"metadata.name=a\,b");
}

/// What a requirement means, said once more in the plainest way: as a question to a list of labels.
fn model(requirement: &Requirement, labels: &[(String, String)]) -> bool {
    let mut values = Vec::new();
    for (key, value) in labels {
        if key == requirement.key() {
            values.push(value.as_str());
        }
    }
    let any_of = |wanted: Vec<&String>| wanted.iter().any(|wanted| values.contains(&wanted.as_str()));
    let any_integer =
        |holds: &dyn Fn(i64) -> bool| values.iter().filter_map(|value| value.parse().ok()).any(holds);
    match requirement.operator() {
        Operator::Equals(value) => any_of(vec![value]),
        Operator::NotEquals(value) => !any_of(vec![value]),
        Operator::In(wanted) => any_of(wanted.iter().collect()),
        Operator::NotIn(unwanted) => !any_of(unwanted.iter().collect()),
        Operator::Exists => !values.is_empty(),
        Operator::DoesNotExist => values.is_empty(),
        Operator::GreaterThan(bound) => any_integer(&|value| value > *bound),
        Operator::LessThan(bound) => any_integer(&|value| value < *bound),
    }
}

fn label_requirement() -> impl Strategy<Value = Requirement> {
    let value = || "[a-c]?|[0-3]";
    let values = || proptest::collection::btree_set(value(), 1..4);
    let operator = prop_oneof![
        value().prop_map(Operator::Equals),
        value().prop_map(Operator::NotEquals),
        values().prop_map(Operator::In),
        values().prop_map(Operator::NotIn),
        Just(Operator::Exists),
        Just(Operator::DoesNotExist),
        (0..4_i64).prop_map(Operator::GreaterThan),
        (0..4_i64).prop_map(Operator::LessThan),
    ];
    ("[a-d]", operator).prop_map(|(key, operator)| Requirement::new(key, operator).unwrap())
}

proptest! {
    #[test]
    fn a_label_selector_chooses_as_its_requirements_say(
        requirements in proptest::collection::vec(label_requirement(), 0..4),
        labels in proptest::collection::btree_map("[a-d]", "[a-c]?|[0-3]", 0..4),
    ) {
        let list: Vec<_> = labels.clone().into_iter().collect();
        let expected = requirements.iter().all(|requirement| model(requirement, &list));
        prop_assert_eq!(LabelSelector::new(requirements).matches(Some(&labels)), expected);
    }

    #[test]
    fn a_label_selector_reads_back(
        requirements in proptest::collection::vec(label_requirement(), 0..4),
    ) {
        let selector = LabelSelector::new(requirements);
        prop_assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn a_field_selector_reads_back(
        terms in proptest::collection::vec(("[a-z]{1,3}\\.[a-z]{1,3}", "[ab,=\\\\! é]{0,5}", any::<bool>()), 0..4),
    ) {
        let requirements =
            terms.into_iter().map(|(field, value, equal)| FieldRequirement { field, value, equal });
        let selector = FieldSelector::new(requirements);
        prop_assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn reading_never_panics(text in "\\PC*|[a=!,()<> in\\\\é]{0,20}") {
        let _ = text.parse::<LabelSelector>();
        let _ = text.parse::<FieldSelector>();
    }
}
