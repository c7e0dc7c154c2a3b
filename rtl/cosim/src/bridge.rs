//! The only module here with `unsafe`: a verilated model in a shared library, and its ports as bytes.
#![allow(unsafe_code, reason = "calls into a library that was built from the RTL")]

use std::ffi::c_void;
use std::path::Path;

use libloading::Library;

type New = unsafe extern "C" fn() -> *mut c_void;
type Act = unsafe extern "C" fn(*mut c_void);
type Port = unsafe extern "C" fn(*mut c_void, u32, *mut u64) -> *mut u8;

/// A model with its ports.
pub(crate) struct Model {
    handle: *mut c_void,
    evaluate: Act,
    delete: Act,
    ports: Vec<(*mut u8, usize)>,
    /// Last: the code must outlive the model.
    _library: Library,
}

impl Model {
    /// Loads the library at `path`, which `build` has made, with this many ports.
    pub(crate) fn load(path: &Path, ports: usize) -> Result<Self, libloading::Error> {
        // SAFETY: the library is made by `build` from `wrapper.cpp`, whose functions have these types; its initialisers only set up Verilator's constants.
        unsafe {
            let library = Library::new(path)?;
            let new: New = *library.get(b"systole_new\0")?;
            let delete: Act = *library.get(b"systole_delete\0")?;
            let evaluate: Act = *library.get(b"systole_evaluate\0")?;
            let port: Port = *library.get(b"systole_port\0")?;
            let handle = new();
            let found = (0..ports as u32).map(|index| {
                let mut bytes = 0;
                (port(handle, index, &mut bytes), bytes as usize)
            });
            let ports = found.collect();
            Ok(Model { handle, evaluate, delete, ports, _library: library })
        }
    }

    /// Lets the model follow its inputs.
    pub(crate) fn evaluate(&mut self) {
        // SAFETY: the handle is a living model of this library.
        unsafe { (self.evaluate)(self.handle) }
    }

    /// The bytes of a port.
    pub(crate) fn port(&self, index: usize) -> &[u8] {
        let (first, bytes) = self.ports[index];
        // SAFETY: the wrapper gives a field of the model and its size; nobody writes it while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(first, bytes) }
    }

    /// The same, to write an input.
    pub(crate) fn port_mut(&mut self, index: usize) -> &mut [u8] {
        let (first, bytes) = self.ports[index];
        // SAFETY: as in `port`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(first, bytes) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: the handle is a living model, and nobody uses it afterwards.
        unsafe { (self.delete)(self.handle) }
    }
}
