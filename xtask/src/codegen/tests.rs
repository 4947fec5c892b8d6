use std::fmt::Write as _;

use super::{model::Type, *};
use crate::root::root;

#[test]
fn what_is_checked_in_is_what_would_be_generated() {
    let wanted = generate(&root()).unwrap();
    let folder = root().join(MESSAGES);
    let names = file_names(&folder).unwrap();
    assert_eq!(names, wanted.keys().cloned().collect::<Vec<_>>(), "run `cargo xtask codegen`");
    for (name, text) in wanted {
        let found = fs::read_to_string(folder.join(&name)).unwrap();
        assert!(found == text, "{} is not what the schema says; run `cargo xtask codegen`", name.display());
    }
}

/// The first error, with all its causes.
fn refused(schema: &str) -> String {
    let checked = notation::parse(schema).and_then(|messages| check::all(&messages));
    format!("{:#}", checked.unwrap_err())
}

#[test]
fn a_field_has_the_versions_of_the_line_above() {
    let schema = "data A versions 2-7 flexible 4+\n  Rows [Row]? 3+\n    Id i32 = -1\n    Name string?5+ 4-6\n";
    let message = notation::parse(schema).unwrap().remove(0);
    let mut seen = String::new();
    for field in message.fields.iter().chain(&message.structs[0].fields) {
        let versions = |v: versions::Versions| format!("{}-{}", v.min, v.max);
        let nullable = field.nullable.map_or("never".to_owned(), versions);
        writeln!(seen, "{} {} null {nullable} default {:?}", field.name, versions(field.versions), field.default)
            .unwrap();
    }
    assert_eq!(
        seen,
        "Rows 3-7 null 3-7 default None\nId 3-7 null never default Some(\"-1\")\nName 4-6 null 5-6 default None\n"
    );
    assert_eq!(message.fields[0].ty, Type::Array(Box::new(Type::Struct("Row".to_owned()))));
    assert_eq!(message.flexible, versions::Versions::parse("4-7", 7).ok());
}

#[test]
fn a_struct_of_several_fields_has_the_versions_of_all() {
    let schema = "data A versions 0-9 flexible none\n  X P 2-3\n  Y [P] 7+\n  struct P\n    Id i8\n";
    let message = notation::parse(schema).unwrap().remove(0);
    assert_eq!((message.structs[0].versions.min, message.structs[0].versions.max), (2, 9));
}

#[test]
fn mistakes_are_named_with_their_line() {
    let head = "data A versions 1-4 flexible none\n";
    for (body, error) in [
        ("  X\n", "line 2: X: a field is a name and a type"),
        ("  X i32 5-3\n", "versions 5-3 are empty"),
        ("  X i32 7\n", "versions outside those of the line above"),
        ("  X Nobody\n", "nobody says what Nobody is"),
        ("  X [P]\n    Id i8\n  Y P\n    Id i8\n", "P is described twice"),
        ("  struct P\n    Id i8\n", "struct P is not used"),
        ("  X i32?\n", "a number cannot be null"),
        ("  X string = null\n", "null by default, but never null"),
        ("  X string tag=0\n", "tagged in versions that are not flexible"),
        ("  X Vec\n    Id i8\n", "a struct cannot be named Vec"),
        ("  X i8 since\n", "\"since\" names no versions"),
    ] {
        let found = refused(&format!("{head}{body}"));
        assert!(found.contains(error), "{body}: {found}");
    }
    assert!(refused("data A versions 0-1 flexible 0+\n  X i8 tag=1\n  Y i8 tag=1\n").contains("tag used twice"));
    assert!(refused("request 1 A versions 0-1 flexible none\n").contains("no response"));
}

#[test]
fn names_are_spelled_as_rust_spells_them() {
    for (kafka, rust) in [
        ("TopicId", "topic_id"),
        ("ISRNodes", "isr_nodes"),
        ("KRaftVersion", "k_raft_version"),
        ("IncrementalAlterConfigs", "incremental_alter_configs"),
        ("Match", "r#match"),
        ("Type", "r#type"),
    ] {
        assert_eq!(names::field(kafka), rust);
    }
}

#[test]
fn conditions_say_no_more_than_is_open() {
    use versions::{Test, Versions};
    let range = |min, max| Versions { min, max };
    let test = |part| Versions::test(range(3, 9), part);
    assert_eq!(test(None), Test::Never);
    assert_eq!(test(Some(range(0, 2))), Test::Never);
    assert_eq!(test(Some(range(0, 12))), Test::Always);
    assert_eq!(test(Some(range(0, 5))), Test::If("version <= 5".to_owned()));
    assert_eq!(test(Some(range(5, 9))), Test::If("version >= 5".to_owned()));
    assert_eq!(test(Some(range(5, 5))), Test::If("version == 5".to_owned()));
    assert_eq!(test(Some(range(5, 6))), Test::If("(5..=6).contains(&version)".to_owned()));
}
