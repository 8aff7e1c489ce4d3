//! What expressions mean, what they may cost, and what is said of those that are wrong.

#![allow(clippy::unwrap_used)]

use serde_json::{Value as Json, json};

use super::*;

fn object() -> Json {
    json!({"metadata": {"name": "web", "labels": {"app": "web", "a.b/c": "d"}},
        "spec": {"replicas": 3, "ratio": 0.5, "items": [1, 2, 3], "none": null, "cpu": "500m",
            "containers": [{"name": "a", "image": "x:1"}, {"name": "b"}]}})
}

fn evaluated(source: &str) -> Result<Json, String> {
    let object = object();
    let expression =
        Expression::compile(source, &Names { variables: &["self", "oldSelf"], ..Names::default() })?;
    let scope = Scope::new().with("self", Value::json(&object)).with("oldSelf", Value::Null);
    let mut budget = Budget::new(COST_OF_ONE);
    let value = expression.evaluate(&scope, &mut budget).map_err(|failure| failure.to_string())?;
    value.to_json().ok_or_else(|| "no JSON".to_owned())
}

#[test]
fn expressions_mean_what_they_mean_in_kubernetes() {
    let row = |source: &str, expected: Json| assert_eq!(evaluated(source), Ok(expected), "{source}");
    row("self.spec.replicas <= 5", true.into());
    row("self.spec.replicas * 2 + 1 == 7 && self.spec.ratio < 1", true.into());
    row("has(self.spec.replicas) && !has(self.spec.missing)", true.into());
    row("self.metadata.labels['a.b/c']", "d".into());
    row("self.metadata.name + '-' + string(self.spec.replicas)", "web-3".into());
    row("self.spec.containers.all(c, c.name.size() == 1)", true.into());
    row("self.spec.containers.exists(c, c.image == 'x:1')", true.into());
    row("self.spec.containers.exists_one(c, has(c.image))", true.into());
    row("self.spec.containers.map(c, c.name)", json!(["a", "b"]));
    row("self.spec.items.filter(i, i > 1)", json!([2, 3]));
    row("self.spec.items.map(i, i > 1, i * 10)", json!([20, 30]));
    row("self.spec.items.all(i, v, v == i + 1)", true.into());
    row("self.metadata.labels.transformMap(k, v, k + v)['app']", "appweb".into());
    row("self.metadata.labels.all(k, k.size() > 2)", true.into());
    row("2 in self.spec.items && 'app' in self.metadata.labels", true.into());
    row("self.spec.?missing.orValue(7)", 7.into());
    row("self.?spec.?replicas.hasValue()", true.into());
    row("self.spec.containers[?5].optMap(c, c.name).orValue('none')", "none".into());
    row("{'a': 1, ?'b': self.?nothing}", json!({"a": 1}));
    row("type(self.spec.replicas) == int && type('a') == string", true.into());
    row("self.spec.none == null && oldSelf == null", true.into());
    row("1 == 1.0 && [1, 2] == [1.0, 2u]", true.into());
    row("false ? self.nothing : 'b'", "b".into());
    row("self.nothing.deep == 1 || true", true.into());
    row("quantity(self.spec.cpu).isLessThan(quantity('1'))", true.into());
    row("'10.0.0.1'.matches('^[0-9.]+$') && isIP('10.0.0.1')", true.into());
    row("sets.contains(self.spec.items, [1, 3]) && self.spec.items.sum() == 6", true.into());
    row(
        "duration('1h') > duration('30m') && timestamp('2020-01-01T00:00:00Z') < timestamp('2021-01-01T00:00:00Z')",
        true.into(),
    );
    row("'a-b'.split('-').join('+')", "a+b".into());
    row("'%s has %d'.format([self.metadata.name, self.spec.replicas])", "web has 3".into());
    let maps = "'%s %s %d'.format([{'b': 1, 'a': {'d': 'x', 'c': true}, 'e': 2.5}, [{'z': null}], 7])";
    row(maps, r#"{"a":{"c":true, "d":"x"}, "b":1, "e":2.5} [{"z":null}] 7"#.into());
    row("'%s'.format([{2: 'b', 1: 'a', 10: 'c'}])", r#"{1:"a", 2:"b", 10:"c"}"#.into());
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let row = |source: &str, words: &str| assert_eq!(evaluated(source), Err(words.to_owned()), "{source}");
    row("self.spec.missing == 1", "no such key: missing");
    row("self.metadata.labels['x']", "no such key: x");
    row("self.spec.items[7]", "index out of bounds: 7");
    row("self.spec.replicas / 0", "division by zero");
    row("9223372036854775807 + self.spec.replicas", "integer overflow");
    row("self.metadata.name + 1", "no such overload");
    row("self.metadata.name.first == 1", "no such overload");
    row("self.spec.containers.all(c, c.image == 'x:1')", "no such key: image");
    row("'a'.matches('(')", "error parsing regexp: (");
}

#[test]
fn what_is_no_expression_is_refused_when_it_is_compiled() {
    let row = |source: &str, words: &str| {
        let error = evaluated(source).unwrap_err();
        assert!(error.starts_with(words), "{source}: {error}");
    };
    row("self.spec.", "ERROR: <input>:1:11: Syntax error: ");
    row("foo == 1", "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo == 1\n | ^");
    row("self.a || foo()", "ERROR: <input>:1:11: undeclared reference to 'foo' (in container '')");
    row("Object{a: 1}", "ERROR: <input>:1:1: undeclared reference to 'Object'");
    row("", "ERROR: ");
    row(&"a".repeat(20_000), "expression is too long");
    row(&"(".repeat(3_000), "ERROR: ");
    row(&format!("1{}", "+1".repeat(7_000)), "the expression is nested deeper than 100 levels");
    row(&"!".repeat(9_000), "ERROR: ");
}

#[test]
fn what_costs_too_much_ends() {
    let many = Json::Array((0..2_000).map(Json::from).collect());
    let names = Names { variables: &["self"], ..Names::default() };
    let row = |source: &str| {
        let expression = Expression::compile(source, &names).unwrap();
        let scope = Scope::new().with("self", Value::json(&many));
        let mut budget = Budget::new(COST_OF_ONE);
        assert_eq!(expression.evaluate(&scope, &mut budget).unwrap_err(), Failure::TooCostly, "{source}");
        assert_eq!(budget.left(), 0);
    };
    row("self.all(a, self.all(b, a + b >= 0))");
    row("self.map(a, self.map(b, [a, b])).size() > 0");
    row("self.all(a, self.all(b, a + b < 0 || true))");
    let refused = Expression::compile("lists.range(1000000000)", &names).unwrap();
    assert!(refused.evaluate(&Scope::new(), &mut Budget::new(COST_OF_ONE)).is_err());
}

#[test]
fn variables_are_evaluated_when_they_are_asked_for() {
    let composed = ["names".to_owned(), "first".to_owned(), "broken".to_owned()];
    let compile = |source: &str, known: usize| {
        let names = Names { variables: &["object"], composed: &composed[..known], makes_objects: false };
        Expression::compile(source, &names)
    };
    let expressions = [
        compile("object.spec.containers.map(c, c.name)", 0).unwrap(),
        compile("variables.names[0]", 1).unwrap(),
        compile("object.nothing", 2).unwrap(),
    ];
    let object = object();
    let scope = Scope::new().with("object", Value::json(&object)).with_composed(&expressions);
    let last = compile("variables.first == 'a' || variables.broken", 3).unwrap();
    assert_eq!(last.is_true(&scope, &mut Budget::new(COST_OF_ONE)), Ok(true));
    let words = compile("variables.first", 1).unwrap_err();
    assert!(words.contains("undefined field 'first'"), "{words}");
}
