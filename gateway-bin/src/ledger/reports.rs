//! Statements and the journal, written for people, spreadsheets and programs.

use std::io::Write;

use anyhow::Context;
use weighbridge_admin::{JournalView, StatementView, TransferView};

use super::service;
use crate::cli::{ExportArgs, JournalFormat, StatementArgs, StatementFormat, say};

/// Rows of the journal that are read at once.
const PAGE: usize = 1_000;

pub(super) async fn statement(args: &StatementArgs) -> anyhow::Result<()> {
    let statement = service(&args.config)?.statement(&args.tenant, &args.from, &args.to).await?;
    match args.format {
        StatementFormat::Json => say(serde_json::to_string(&statement)?),
        StatementFormat::Csv => statement_csv(&statement).iter().for_each(say),
        StatementFormat::Text => statement_text(&statement).iter().for_each(say),
    }
    Ok(())
}

fn statement_csv(statement: &StatementView) -> Vec<String> {
    let mut lines = vec!["book,date,kind,text,id,actor,attempts,tokens,amount_usd".to_owned()];
    for book in &statement.books {
        let edge = |date: &str, kind, amount: &str| csv(&[book.book, date, kind, "", "", "", "", "", amount]);
        lines.push(edge(&statement.from, "opening", &book.opening_usd));
        for line in &book.lines {
            let (attempts, tokens) = (line.attempts.to_string(), line.tokens.to_string());
            let (id, actor) = (line.id.as_deref().unwrap_or(""), line.actor.as_deref().unwrap_or(""));
            let columns = [book.book, &line.date, line.kind, &line.text, id, actor, &attempts, &tokens];
            lines.push(csv(&[&columns[..], &[&line.amount_usd]].concat()));
        }
        lines.push(edge(&statement.to, "closing", &book.closing_usd));
    }
    lines
}

fn statement_text(statement: &StatementView) -> Vec<String> {
    let StatementView { tenant, from, to, books } = statement;
    let mut lines =
        vec![format!("{tenant}: from {from} to before {to} (UTC); below zero is paid in advance")];
    if books.is_empty() {
        lines.push("nothing was owed or paid".to_owned());
    }
    for book in books {
        lines.push(format!("\nIn USD, the {} book", book.book));
        lines.push(format!("{:62}  {:>20}", "owed at the beginning", book.opening_usd));
        for line in &book.lines {
            let what = match line.attempts {
                0 => line.text.clone(),
                attempts => format!("{}, {attempts} attempts, {} tokens", line.text, line.tokens),
            };
            lines.push(format!("{}  {:13}  {what:35}  {:>20}", line.date, line.kind, line.amount_usd));
        }
        lines.push(format!("{:62}  {:>20}", "owed at the end", book.closing_usd));
    }
    lines
}

pub(super) async fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let service = service(&args.config)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let wrote = "the journal cannot be written out";
    if let JournalFormat::Csv = args.format {
        writeln!(out, "{JOURNAL_COLUMNS}").context(wrote)?;
    }
    let mut after = args.after;
    loop {
        let rows = service.journal(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in &rows {
            match args.format {
                JournalFormat::Json => writeln!(out, "{}", serde_json::to_string(row)?).context(wrote)?,
                JournalFormat::Csv => {
                    for line in journal_csv(row) {
                        writeln!(out, "{line}").context(wrote)?;
                    }
                }
            }
        }
    }
    out.flush().context(wrote)
}

const JOURNAL_COLUMNS: &str = "seq,book,writer,at,fact,kind,attempt,id,key,tenant,provider,model,reason,actor,\
     outcome,provenance,amount_usd,charged_usd,cost_usd,phase,debit,credit,measure,amount";

/// A line for each transfer; one for a row that moved nothing.
fn journal_csv(row: &JournalView) -> Vec<String> {
    let (seq, writer) = (row.seq.to_string(), row.writer.to_string());
    let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
    let name = |what: &str| row.names.get(what).cloned().unwrap_or_default();
    let head = [
        seq,
        row.book.to_owned(),
        writer,
        row.at.clone(),
        row.fact.to_owned(),
        row.kind.unwrap_or_default().to_owned(),
        text(&row.attempt),
        text(&row.id),
        text(&row.key),
        name("tenant"),
        name("provider"),
        name("model"),
        name("reason"),
        name("actor"),
        row.outcome.unwrap_or_default().to_owned(),
        row.provenance.unwrap_or_default().to_owned(),
        text(&row.amount_usd),
        text(&row.charged_usd),
        text(&row.cost_usd),
    ];
    let line = |tail: [&str; 5]| {
        let columns: Vec<&str> = head.iter().map(String::as_str).chain(tail).collect();
        csv(&columns)
    };
    if row.transfers.is_empty() {
        return vec![line([""; 5])];
    }
    let of = |t: &TransferView| line([t.phase, &t.debit, &t.credit, t.measure, &t.amount]);
    row.transfers.iter().map(of).collect()
}

/// A line of comma-separated values (RFC 4180).
///
/// What a spreadsheet would take for a formula is led by an apostrophe: names and reasons come from people.
pub(crate) fn csv(columns: &[&str]) -> String {
    let quoted = columns.iter().map(|column| {
        let digits = column.strip_prefix('-').unwrap_or(column);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let is_formula = column.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
        let column = if is_formula { format!("'{column}") } else { (*column).to_owned() };
        match column.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", column.replace('"', "\"\"")),
            false => column,
        }
    });
    quoted.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be_and_formulas_are_none() {
        assert_eq!(csv(&["a", "b,c", "say \"no\"", "", "-1.5"]), "a,\"b,c\",\"say \"\"no\"\"\",,-1.5");
        assert_eq!(csv(&["=1+1", "@x", "-x"]), "'=1+1,'@x,'-x");
    }
}
