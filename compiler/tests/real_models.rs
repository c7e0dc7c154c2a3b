//! Published networks, quantised by ONNX Runtime's tools, when `SYSTOLE_MODELS` names a folder that holds some as `.onnx`.

use std::path::PathBuf;

use systole_compiler::frontends::onnx::{ImportOptions, import_file};
use systole_compiler::passes::{Values, is_float, legalise};
use systole_network::policy::NumericPolicy;
use systole_network::verify::verify;

#[test]
fn files_import_and_legalise() {
    let Some(folder) = std::env::var_os("SYSTOLE_MODELS") else {
        eprintln!("SKIPPED: set SYSTOLE_MODELS to a folder of ONNX models to test with them");
        return;
    };
    let entries = std::fs::read_dir(&folder).expect("SYSTOLE_MODELS is a folder");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    assert!(!files.is_empty(), "no .onnx files in {}", folder.display());
    for path in files {
        let name = path.display();
        let graph = import_file(&path, &ImportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        verify(&graph).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        let mut values = vec![Values::Structure];
        if !is_float(&graph) {
            values.push(Values::Real { calibration: None, seed: 0 });
        }
        for values in values {
            let quantised =
                legalise(&graph, &NumericPolicy::default(), &values).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
            verify(&quantised.graph).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        }
    }
}
