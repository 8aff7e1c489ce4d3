//! Words that CEL keeps for itself.

const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Whether an expression cannot use this as a name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}
