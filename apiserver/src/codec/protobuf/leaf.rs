//! Single values, and the small messages that stand for one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::wire::{self, Flaw, Payload, Reader};
use crate::schema::{Form, Leaf};

/// The value, if the leaf is no structure; null where Go has nothing.
pub fn scalar(leaf: Leaf, payload: Payload<'_>) -> Result<Option<Value>, Flaw> {
    Ok(Some(match leaf {
        Leaf::String => payload.text()?.into(),
        // Negative numbers of 32 bits are written with 64; Go drops the upper half of any.
        Leaf::Int32 => (payload.varint()? as i32).into(),
        Leaf::Int64 => payload.varint()?.cast_signed().into(),
        Leaf::Bool => (payload.varint()? != 0).into(),
        Leaf::Double => double(payload)?,
        Leaf::Bytes => BASE64.encode(payload.bytes()?).into(),
        Leaf::Quantity => quantity(payload.bytes()?)?,
        Leaf::IntOrString => int_or_string(payload.bytes()?)?,
        Leaf::Time | Leaf::MicroTime => time(leaf, payload.bytes()?)?,
        Leaf::RawExtension | Leaf::Json | Leaf::FieldsV1 => json(payload.bytes()?)?,
        Leaf::SchemaOrArray | Leaf::SchemaOrBool | Leaf::SchemaOrStrings | Leaf::Struct(_) => {
            return Ok(None);
        }
    }))
}

/// The value of an entry that has none.
pub fn absent(form: Form, leaf: Leaf) -> Value {
    match (form, leaf) {
        (Form::MapOfLists, _) => Value::Array(Vec::new()),
        (_, Leaf::String | Leaf::Bytes) => "".into(),
        (_, Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::IntOrString) => 0.into(),
        (_, Leaf::Bool) => false.into(),
        (_, Leaf::Quantity) => "0".into(),
        (_, Leaf::Struct(_)) => Value::Object(serde_json::Map::new()),
        _ => Value::Null,
    }
}

/// The tag of a schema, and the tag of what may stand in its place.
pub fn schema_tags(leaf: Leaf) -> (u32, u32) {
    match leaf {
        Leaf::SchemaOrBool => (2, 1),
        _ => (1, 2),
    }
}

/// Writes the value with its tag, if the leaf is no structure and the value fits.
pub fn write(leaf: Leaf, value: &Value, tag: u32, bytes: &mut Vec<u8>) -> Result<(), Flaw> {
    match leaf {
        Leaf::String => wire::text(bytes, tag, text(value)?),
        Leaf::Int32 | Leaf::Int64 => wire::varint(bytes, tag, integer(value)?.cast_unsigned()),
        Leaf::Bool => wire::varint(bytes, tag, value.as_bool().ok_or(Flaw::Unfit)?.into()),
        Leaf::Double => wire::fixed64(bytes, tag, value.as_f64().ok_or(Flaw::Unfit)?.to_bits()),
        Leaf::Bytes => wire::run(bytes, tag, &BASE64.decode(text(value)?).map_err(|_| Flaw::Unfit)?),
        Leaf::Quantity => {
            let mut amount = Vec::new();
            wire::text(&mut amount, 1, text(value)?);
            wire::run(bytes, tag, &amount);
        }
        Leaf::IntOrString => wire::nested(bytes, tag, |bytes| write_int_or_string(value, bytes))?,
        Leaf::Time | Leaf::MicroTime => wire::nested(bytes, tag, |bytes| write_time(value, bytes))?,
        Leaf::RawExtension | Leaf::Json | Leaf::FieldsV1 => {
            let json = serde_json::to_vec(value).map_err(|error| Flaw::Json(error.to_string()))?;
            let mut raw = Vec::new();
            wire::run(&mut raw, 1, &json);
            wire::run(bytes, tag, &raw);
        }
        Leaf::SchemaOrArray | Leaf::SchemaOrBool | Leaf::SchemaOrStrings | Leaf::Struct(_) => {
            return Err(Flaw::Unfit);
        }
    }
    Ok(())
}

/// The last payloads of the first three tags.
fn small(message: &[u8]) -> Result<[Option<Payload<'_>>; 3], Flaw> {
    let mut payloads = [None; 3];
    for member in Reader::new(message) {
        let (tag, payload) = member?;
        if let Some(slot) = (tag as usize).checked_sub(1).and_then(|place| payloads.get_mut(place)) {
            *slot = Some(payload);
        }
    }
    Ok(payloads)
}

fn double(payload: Payload<'_>) -> Result<Value, Flaw> {
    let Payload::Fixed64(bits) = payload else { return Err(Flaw::Wrong("eight bytes")) };
    let number = f64::from_bits(bits);
    // As it is stored: whole numbers that are exact have no fraction.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = number as i64;
    match whole as f64 == number && number.abs() <= EXACT {
        true => Ok(whole.into()),
        false => Number::from_f64(number).map(Value::Number).ok_or(Flaw::NotFinite),
    }
}

fn quantity(message: &[u8]) -> Result<Value, Flaw> {
    let [amount, ..] = small(message)?;
    Ok(amount.map_or(Ok("0"), Payload::text)?.into())
}

fn int_or_string(message: &[u8]) -> Result<Value, Flaw> {
    let [kind, integer, text] = small(message)?;
    match kind.map_or(Ok(0), Payload::varint)? {
        0 => Ok((integer.map_or(Ok(0), Payload::varint)? as i32).into()),
        1 => Ok(text.map_or(Ok(""), Payload::text)?.into()),
        _ => Err(Flaw::NeitherIntNorString),
    }
}

/// An empty message is no moment at all.
fn time(leaf: Leaf, message: &[u8]) -> Result<Value, Flaw> {
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let [seconds, nanoseconds, _] = small(message)?;
    let seconds = seconds.map_or(Ok(0), Payload::varint)?.cast_signed();
    let nanoseconds = nanoseconds.map_or(Ok(0), Payload::varint)? as i32;
    if !(0..1_000_000_000).contains(&nanoseconds) {
        return Err(Flaw::NotTime);
    }
    // Fractions that JSON does not carry are cut off, not rounded.
    let kept = if leaf == Leaf::Time { 0 } else { nanoseconds / 1_000 * 1_000 };
    let moment = Timestamp::from_second(seconds)
        .and_then(|moment| moment.checked_add(jiff::SignedDuration::from_nanos(kept.into())))
        .map_err(|_| Flaw::NotTime)?;
    Ok(if leaf == Leaf::Time { format!("{moment:.0}") } else { format!("{moment:.6}") }.into())
}

fn json(message: &[u8]) -> Result<Value, Flaw> {
    let [raw, ..] = small(message)?;
    match raw.map_or(Ok(&[][..]), Payload::bytes)? {
        [] => Ok(Value::Null),
        raw => serde_json::from_slice(raw).map_err(|error| Flaw::Json(error.to_string())),
    }
}

fn write_int_or_string(value: &Value, bytes: &mut Vec<u8>) -> Result<(), Flaw> {
    match value {
        Value::String(text) => {
            wire::varint(bytes, 1, 1);
            wire::text(bytes, 3, text);
        }
        _ => {
            wire::varint(bytes, 1, 0);
            wire::varint(bytes, 2, integer(value)?.cast_unsigned());
        }
    }
    Ok(())
}

fn write_time(value: &Value, bytes: &mut Vec<u8>) -> Result<(), Flaw> {
    let moment: Timestamp = text(value)?.parse().map_err(|_| Flaw::NotTime)?;
    // Before 1970 the fraction counts backwards; the wire wants it to count forwards.
    let fraction = moment.subsec_nanosecond();
    let seconds = moment.as_second() - i64::from(fraction < 0);
    wire::varint(bytes, 1, seconds.cast_unsigned());
    wire::varint(bytes, 2, fraction.rem_euclid(1_000_000_000).cast_unsigned().into());
    Ok(())
}

fn text(value: &Value) -> Result<&str, Flaw> {
    value.as_str().ok_or(Flaw::Unfit)
}

fn integer(value: &Value) -> Result<i64, Flaw> {
    value.as_i64().ok_or(Flaw::Unfit)
}
