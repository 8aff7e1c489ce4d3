//! What the engine offers beyond WASI, as `wit/host.wit` says.

wit_bindgen::generate!({ path: "wit", world: "toolbox" });

pub use peapod::toolbox::host::{Process, exit, processes, run};
