//! That the defaults of a schema are what the schema allows.

use api::field::FieldError;
use serde_json::Value;

use crate::custom::schema::Node;
use crate::custom::{defaults, prune, validate};

/// Checks the defaults of a schema that is right otherwise.
pub fn check(schema: &Value, root: &str, errors: &mut Vec<FieldError>) {
    match Node::read(schema) {
        Ok(node) => {
            if node.default.is_some() {
                errors.push(FieldError::forbidden(format!("{root}.default"), "must not be set at the root"));
            }
            below(&node, root, errors);
        }
        Err(error) => {
            errors.push(FieldError::invalid(root, "", format!("error building validator: {error}")))
        }
    }
}

fn below(node: &Node, path: &str, errors: &mut Vec<FieldError>) {
    if !node.has_defaults {
        return;
    }
    for (name, property) in &node.properties {
        one(property, &format!("{path}.properties[{name}]"), errors);
    }
    if let Some(items) = &node.items {
        one(items, &format!("{path}.items"), errors);
    }
    if let crate::custom::schema::Additional::Of(additional) = &node.additional {
        one(additional, &format!("{path}.additionalProperties"), errors);
    }
}

fn one(node: &Node, path: &str, errors: &mut Vec<FieldError>) {
    below(node, path, errors);
    let Some(default) = &node.default else {
        return;
    };
    let path = format!("{path}.default");
    let mut filled = default.clone();
    let unknown = prune::prune(node, &mut filled);
    if !unknown.is_empty() {
        let words = format!("must not have fields that are not specified: {}", unknown.join(", "));
        errors.push(FieldError::invalid(path, default.clone(), words));
        return;
    }
    defaults::fill_in(node, &mut filled);
    for error in validate::check(node, &filled, None) {
        let field = match error.field.as_str() {
            "" | "<nil>" => path.clone(),
            below => format!("{path}.{below}"),
        };
        errors.push(FieldError { field, ..error });
    }
}
