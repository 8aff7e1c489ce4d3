//! What the schema says: types, their fields, and how lists and structures are merged and owned.

use super::builtin;

/// Every type of the API.
#[derive(Debug)]
pub struct Schema {
    /// In the order of their names.
    pub(super) types: Vec<Type>,
    /// Group, version and kind in order, each with the index of its type.
    pub(super) kinds: Vec<([&'static str; 3], u16)>,
}

impl Schema {
    /// The type of a kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&Type> {
        let found =
            self.kinds.binary_search_by(|(known, _)| known[..].cmp(&[group, version, kind][..])).ok()?;
        self.types.get(usize::from(self.kinds[found].1))
    }

    /// A type by its name, such as `core.v1.PodSpec` or `meta.v1.DeleteOptions`.
    pub fn named(&self, name: &str) -> Option<&Type> {
        self.types.binary_search_by(|known| known.name.cmp(name)).ok().map(|found| &self.types[found])
    }

    /// Every type, in the order of their names.
    pub fn types(&self) -> &[Type] {
        &self.types
    }
}

/// A structure.
#[derive(Debug)]
pub struct Type {
    /// Package, version and name: `core.v1.PodSpec`.
    pub name: &'static str,
    /// Set for what has a group, version and kind.
    pub kind: Option<Kind>,
    /// It is owned and replaced as a whole wherever its field does not say otherwise.
    pub whole: bool,
    /// What refers to it.
    pub(super) leaf: Leaf,
    /// In the order of their names.
    pub(super) fields: Vec<Field>,
    /// Places of fields by the hash of their names, or `FREE`; at least half are free.
    pub(super) slots: Vec<u8>,
}

impl Type {
    /// Its fields, in the order of their names.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// A field by its JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.index_of(name).map(|index| &self.fields[index])
    }

    /// Compares one name, rarely two: searching by comparing names took a third of the time of decoding.
    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        let mut slot = self.slot(name);
        while self.slots[slot] != FREE {
            let index = usize::from(self.slots[slot]);
            if self.fields[index].name == name {
                return Some(index);
            }
            slot = (slot + 1) % self.slots.len();
        }
        None
    }

    /// Makes the fields findable, once all are there.
    pub(super) fn index(&mut self) {
        self.fields.sort_unstable_by_key(|field| field.name);
        self.slots = vec![FREE; (self.fields.len() * 2).next_power_of_two().max(2)];
        for (field, index) in self.fields.iter().zip(0..FREE) {
            let mut slot = self.slot(field.name);
            while self.slots[slot] != FREE {
                slot = (slot + 1) % self.slots.len();
            }
            self.slots[slot] = index;
        }
    }

    fn slot(&self, name: &str) -> usize {
        // There are at least two slots, and their number is a power of two.
        (hash(name) >> (u64::BITS - self.slots.len().trailing_zeros())) as usize
    }
}

/// No field has this place: a test of the table counts them.
const FREE: u8 = u8::MAX;

/// Mixes the ends and the length of a name, in which the fields of a type differ nearly always.
fn hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let length = bytes.len() as u64;
    let mark = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(20) ^ length
        }
        _ => bytes.iter().fold(length, |mark, byte| mark << 8 | u64::from(*byte)),
    };
    // 2^64 divided by the golden ratio: spreads what differs over the highest bits.
    mark.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A kind and where it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `apps`; empty for the core group.
    pub group: &'static str,
    /// `v1`.
    pub version: &'static str,
    /// `apps/v1`, as `apiVersion` has it.
    pub api_version: &'static str,
    /// `Deployment`.
    pub kind: &'static str,
    /// `deployments`; of a subresource its name; empty where there is none.
    pub resource: &'static str,
    /// Where objects of it live.
    pub scope: Scope,
    /// `DeploymentList`: metadata (tag 1) and items (tag 2).
    pub list_kind: Option<&'static str>,
}

/// Where objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In no namespace.
    Cluster,
    /// Below another object.
    Subresource,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its JSON name.
    pub name: &'static str,
    /// It must be given.
    pub required: bool,
    /// One value, a list or a map.
    pub form: Form,
    /// What each value is.
    pub leaf: Leaf,
    /// How items of the list are told apart when it is owned; nothing if the API does not say.
    pub list_type: Option<ListType>,
    /// An empty text, 0 or false is a value; of other optional fields it says no more than leaving them out.
    pub keeps_zero: bool,
    /// What the strategic merge patch tells items apart by.
    pub merge_key: Option<&'static str>,
    pub(super) tags: &'static str,
    pub(super) map_keys: &'static str,
    pub(super) whole: Option<bool>,
    pub(super) patch: &'static str,
    pub(super) default: Option<&'static str>,
}

impl Field {
    /// The structure each value is, if it is one.
    pub fn structure(&self) -> Option<&'static Type> {
        self.leaf.structure()
    }

    /// From the message of the type to the value: more than one number where JSON flattens an embedded
    /// message; none for `apiVersion` and `kind`, which the wire has around an object.
    pub fn tags(&self) -> impl Iterator<Item = u32> {
        // The table was read as numbers by the generator; a test reads all of them.
        self.tags.split('.').filter_map(|tag| tag.parse().ok())
    }

    /// The names that together tell apart the items of a list of type `Map`.
    pub fn map_keys(&self) -> impl Iterator<Item = &'static str> {
        self.map_keys.split(',').filter(|key| !key.is_empty())
    }

    /// The map or structure is owned and replaced as a whole.
    pub fn is_whole(&self) -> bool {
        self.whole.unwrap_or_else(|| {
            matches!(self.form, Form::One | Form::List) && self.structure().is_some_and(|of| of.whole)
        })
    }

    /// The strategic merge patch treats the field in this way.
    pub fn patches(&self, how: Patch) -> bool {
        let word = match how {
            Patch::Merge => "merge",
            Patch::Replace => "replace",
            Patch::RetainKeys => "retainKeys",
        };
        self.patch.split(',').any(|known| known == word)
    }

    /// The default the schema declares, as JSON text.
    pub fn default(&self) -> Option<&'static str> {
        self.default
    }
}

/// One value or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One value.
    One,
    /// A list of values.
    List,
    /// A list of values, which the wire wraps in a message (tag 1).
    WrappedList,
    /// Values by strings.
    Map,
    /// Lists by strings; the wire wraps each list in a message (tag 1).
    MapOfLists,
}

/// What a single value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Text.
    String,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// True or false.
    Bool,
    /// A number.
    Double,
    /// Base64 in JSON.
    Bytes,
    /// An amount such as `100m`.
    Quantity,
    /// A whole number of 32 bits or a text.
    IntOrString,
    /// A moment, exact to a second.
    Time,
    /// A moment, exact to a microsecond.
    MicroTime,
    /// An object of any kind; the wire has its JSON.
    RawExtension,
    /// Any JSON; the wire has it as text.
    Json,
    /// A set of fields, in JSON; the wire has it as text.
    FieldsV1,
    /// A `JSONSchemaProps` or a list of them.
    SchemaOrArray,
    /// A `JSONSchemaProps` or true or false.
    SchemaOrBool,
    /// A `JSONSchemaProps` or a list of texts.
    SchemaOrStrings,
    /// A structure, by its place among the built-in types.
    Struct(u16),
}

impl Leaf {
    /// The structure it is, or may be.
    pub fn structure(self) -> Option<&'static Type> {
        match self {
            Self::Struct(index) => builtin().types.get(usize::from(index)),
            Self::SchemaOrArray | Self::SchemaOrBool | Self::SchemaOrStrings => {
                builtin().named("apiextensions.v1.JSONSchemaProps")
            }
            _ => None,
        }
    }
}

/// How items of a list are told apart when their owners are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Not at all: the list is one value.
    Atomic,
    /// By themselves.
    Set,
    /// By the fields that `map_keys` names.
    Map,
}

/// What a strategic merge patch does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// Merges items by the merge key, or by themselves.
    Merge,
    /// Replaces the value.
    Replace,
    /// Honours `$retainKeys`.
    RetainKeys,
}
