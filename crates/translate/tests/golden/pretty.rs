//! JSON as people read it: fields in their order, what fits on a line in one line, numbers as they stand.

use weighbridge_protocol::json::{Fields, Kind, Raw, ScanLimits};

/// How long a line may be.
const WIDTH: usize = 100;

pub(crate) fn pretty(json: &[u8]) -> String {
    let text = std::str::from_utf8(json).unwrap();
    let mut out = String::new();
    write(Raw::parse(text, &ScanLimits::default()).unwrap(), 0, &mut out);
    out
}

fn write(raw: Raw<'_>, indent: usize, out: &mut String) {
    let line = one_line(raw);
    let lines: Vec<(Option<String>, Raw<'_>)> = match raw.kind() {
        Kind::Object => members(raw).into_iter().map(|(name, value)| (Some(name), value)).collect(),
        Kind::Array => raw.items().unwrap().map(|item| (None, item)).collect(),
        _ => Vec::new(),
    };
    if lines.is_empty() || line.len() + indent <= WIDTH {
        return out.push_str(&line);
    }
    let (open, close) = if raw.kind() == Kind::Object { ('{', '}') } else { ('[', ']') };
    out.push(open);
    let mut comma = "";
    for (name, value) in lines {
        out.push_str(&format!("{comma}\n{}", " ".repeat(indent + 2)));
        if let Some(name) = name {
            out.push_str(&format!("\"{name}\": "));
        }
        write(value, indent + 2, out);
        comma = ",";
    }
    out.push_str(&format!("\n{}{close}", " ".repeat(indent)));
}

fn one_line(raw: Raw<'_>) -> String {
    match raw.kind() {
        Kind::Object => {
            let members: Vec<String> = members(raw)
                .into_iter()
                .map(|(name, value)| format!("\"{name}\": {}", one_line(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Kind::Array => {
            let items: Vec<String> = raw.items().unwrap().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        _ => raw.text().to_owned(),
    }
}

fn members(raw: Raw<'_>) -> Vec<(String, Raw<'_>)> {
    Fields::read(raw).unwrap().rest().iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
