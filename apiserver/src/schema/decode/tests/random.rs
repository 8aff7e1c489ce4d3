//! Decoding of whatever resembles a pod, and of what does not.

use proptest::prelude::*;
use serde_json::Value;

use super::pod;
use crate::schema::{decode, normalize};

/// JSON that resembles a pod: names of fields of a pod with values of any type, nested at random.
fn resembling_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        ".{0,24}".prop_map(Value::from),
        "[0-9]{1,3}(m|Mi|e9)?".prop_map(Value::from),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9:]{8}(Z|[+-]99:99)".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "metadata",
        "spec",
        "status",
        "labels",
        "containers",
        "volumes",
        "env",
        "value",
        "resources",
        "limits",
        "cpu",
        "ports",
        "containerPort",
        "securityContext",
        "creationTimestamp",
        "managedFields",
        "fieldsV1",
        "x",
    ]);
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => prop::collection::vec((names.clone(), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_decoded_or_refused(value in resembling_json()) {
        let text = value.to_string();
        let decoded = decode(pod(), text.as_bytes());
        prop_assert_eq!(&decoded, &normalize(pod(), value));
        if let Ok(decoded) = decoded {
            // What is stored is stored unchanged, and the typed structures take it.
            let again = decode(pod(), decoded.value.to_string().as_bytes()).unwrap();
            prop_assert_eq!(&again.strict().unwrap(), &decoded.value);
            serde_json::from_value::<k8s_openapi::api::core::v1::Pod>(decoded.value).unwrap();
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(pod(), &bytes);
    }
}
