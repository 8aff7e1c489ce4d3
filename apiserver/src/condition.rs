//! Conditions in the status of objects.

use serde_json::{Value, json};

/// The conditions with one of them set; the time changes with its status only.
pub fn set(conditions: &Value, of: &str, [status, reason, message]: [&str; 3], now: &str) -> Value {
    let mut conditions = conditions.as_array().cloned().unwrap_or_default();
    let known = conditions.iter_mut().find(|condition| condition["type"] == of);
    let since = match &known {
        Some(known) if known["status"] == status => known["lastTransitionTime"].clone(),
        _ => now.into(),
    };
    let condition = json!({
        "type": of, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    conditions.into()
}

/// Whether a condition of an object holds.
pub fn is_true(object: &Value, of: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == of && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change() {
        let first = set(&json!(null), "A", ["True", "R", "m"], "t1");
        let same = set(&first, "A", ["True", "S", "n"], "t2");
        assert_eq!((&same[0]["reason"], &same[0]["lastTransitionTime"]), (&"S".into(), &"t1".into()));
        let other = set(&same, "A", ["False", "S", "n"], "t3");
        assert_eq!(other[0]["lastTransitionTime"], "t3");
    }
}
