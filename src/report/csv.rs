//! `layers.csv`: one row a layer, the columns that a spreadsheet can use.

use super::Report;

/// The layers as CSV with a head (RFC 4180: a field with comma, quote or line break is quoted).
pub fn layers_csv(report: &Report) -> String {
    let causes: Vec<&str> = report.total.stall_cycles.keys().copied().collect();
    let mut head: Vec<String> = [
        "name",
        "op",
        "macs",
        "start_cycle",
        "end_cycle",
        "cycles",
        "utilization",
        "bound_by",
        "dram_read_bytes",
        "dram_write_bytes",
        "dram_bytes_saved",
        "energy_uj",
    ]
    .map(str::to_owned)
    .into();
    head.extend(causes.iter().map(|cause| format!("stall_{cause}")));
    head.extend(["weight_bits", "widened", "mapping"].map(str::to_owned));
    let mut out = row(&head);
    for layer in &report.layers {
        let mut fields = vec![
            layer.name.clone(),
            layer.op.clone(),
            layer.macs.to_string(),
            layer.start_cycle.to_string(),
            layer.end_cycle.to_string(),
            layer.cycles.to_string(),
            format!("{:.6}", layer.utilization),
            layer.bound_by.to_owned(),
            layer.dram_read_bytes.to_string(),
            layer.dram_write_bytes.to_string(),
            layer.dram_bytes_saved.to_string(),
            layer.energy_uj.map_or(String::new(), |energy| format!("{energy:.6}")),
        ];
        fields.extend(causes.iter().map(|cause| layer.stall_cycles.get(cause).copied().unwrap_or(0).to_string()));
        fields.push(layer.weight_bits.map_or(String::new(), |bits| bits.to_string()));
        fields.push(layer.widened.to_string());
        fields.push(layer.mapping.clone());
        out += &row(&fields);
    }
    out
}

fn row(fields: &[String]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| quote(field)).collect();
    quoted.join(",") + "\n"
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_separators_are_quoted() {
        assert_eq!(row(&["a".into(), "b,c".into(), "d\"e".into()]), "a,\"b,c\",\"d\"\"e\"\n");
    }
}
