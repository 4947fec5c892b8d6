//! How a client program in another language reports its cases: one line each on standard output.
//!
//! `ok NAME`, `not ok NAME: reason` and at the very end `finished`. Other lines are the program's own business.

/// One line of a report.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The case passed.
    Passed(&'a str),
    /// The case failed, and why.
    Failed(&'a str, &'a str),
    /// All cases were run.
    Finished,
}

/// The report in a program's output.
pub fn parse(output: &str) -> impl Iterator<Item = Line<'_>> {
    output.lines().filter_map(|line| {
        if let Some(rest) = line.strip_prefix("not ok ") {
            let (name, reason) = rest.split_once(':').unwrap_or((rest, "no reason given"));
            return Some(Line::Failed(name.trim(), reason.trim()));
        }
        if line.trim() == "finished" {
            return Some(Line::Finished);
        }
        line.strip_prefix("ok ").map(|name| Line::Passed(name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_kinds_are_left_out() {
        let lines: Vec<_> = parse("hello\nok a\nnot ok b: x: y\nnot ok c\nfinished\n").collect();
        let expected =
            [Line::Passed("a"), Line::Failed("b", "x: y"), Line::Failed("c", "no reason given"), Line::Finished];
        assert_eq!(lines, expected);
    }
}
