//! Takes fields out of an object.

use serde_json::Value;

use crate::managed::Shape;
use crate::managed::item::Naming;
use crate::managed::set::{Element, Set};
use crate::managed::shape::{Items, Nature};

/// Removes the members of the set. What has nothing left within it becomes null, which is as good as gone.
pub(super) fn remove(shape: Shape<'_>, value: &mut Value, gone: &Set<'_>) {
    match (shape.nature(value), &mut *value) {
        (Nature::Map { whole: false }, Value::Object(members)) => {
            members.retain(|name, value| {
                let Some(node) = gone.get(&Element::field(name)) else {
                    return true;
                };
                if !node.is_member && !node.below.is_empty() {
                    let of = shape.member(name).map_or(Shape::Deduced, |member| member.shape);
                    remove(of, value, &node.below);
                }
                !node.is_member
            });
            if members.is_empty() {
                *value = Value::Null;
            }
        }
        (Nature::List(kind @ (Items::Set | Items::Keyed)), Value::Array(items)) => {
            let naming = Naming::new(shape, kind);
            items.retain_mut(|item| {
                let node = naming.of(item).ok().and_then(|step| gone.get(&step));
                let Some(node) = node else {
                    return true;
                };
                if !node.is_member && !node.below.is_empty() {
                    remove(shape.item(), item, &node.below);
                }
                !node.is_member
            });
            if items.is_empty() {
                *value = Value::Null;
            }
        }
        (Nature::Map { whole: true } | Nature::List(Items::Whole), Value::Object(_) | Value::Array(_)) => {
            *value = Value::Null;
        }
        _ => {}
    }
}
