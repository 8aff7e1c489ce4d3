//! Marks the members whose zero is a value. Protobuf has the zeros of all other members too, where JSON leaves them out.

use crate::join::Row;

/// One type in a line, then its members.
const ZEROS: &str = include_str!("zeros.txt");

/// Types whose zero there is to tell from nothing.
const SCALARS: [&str; 6] = ["string", "int32", "int64", "bool", "double", "IntOrString"];

/// Marks what is listed; every name must be an optional member with a zero.
pub fn mark(rows: &mut [Row<'_>]) -> Result<(), String> {
    for line in ZEROS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let of = words.next().unwrap_or_default();
        let row =
            rows.iter_mut().find(|row| row.name == of).ok_or(format!("there is no type {of} to mark"))?;
        for name in words {
            match row.members.get_mut(name) {
                Some(member) if !member.required && SCALARS.contains(&member.of.as_str()) => {
                    member.keeps_zero = true;
                }
                _ => return Err(format!("{of} has no optional member `{name}` with a zero")),
            }
        }
    }
    Ok(())
}
