//! The values that may be set on an instance without a certain release, as in
//! `src/instance/unreleased.rs`.

#[derive(Clone, Debug, Default)]
pub(crate) struct Planted {
    /// The slot, the value, and the newest request that may have set the value.
    values: Vec<(u32, String, u64)>,
}

impl Planted {
    pub(crate) fn note(&mut self, slot: u32, value: &str, number: u64) {
        self.values.retain(|(_, other, _)| other != value);
        if self.values.len() >= 16 {
            self.values.remove(0);
        }
        self.values.push((slot, value.to_owned(), number));
    }

    /// Notes that requests up to this number are released.
    pub(crate) fn clear(&mut self, number: u64) {
        self.values.retain(|(_, _, set)| *set > number);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values to release on a new connection, before a request about `own`.
    pub(crate) fn owed(&self, own: Option<&str>) -> Vec<(u32, String)> {
        let others = self.values.iter().filter(|(_, value, _)| Some(value.as_str()) != own);
        others.map(|(slot, value, _)| (*slot, value.clone())).collect()
    }
}
