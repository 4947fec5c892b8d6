use super::*;

#[test]
fn the_page_is_what_the_declarations_say() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md"));
    let hint = "run `cargo run -p ottla-config --example render_config > docs/config.md`";
    let differs = page.lines().zip(render_reference().lines().map(str::to_owned)).find(|(old, new)| old != new);
    assert_eq!(differs, None, "{hint}");
    assert_eq!(page, render_reference(), "{hint}");
}
