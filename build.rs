//! Compiles `proto/` without protoc: one descriptor set, with the options of
//! `keygate.options.v1`, and the Rust code generated from the same set.
//!
//! Messages with a field marked `debug_redact` get a `Debug` that leaves the
//! field's value out.

use std::{
    env, error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, OneofDescriptor, Value};

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut files = Vec::new();
    find_protos(Path::new("proto"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    let documented = compiler.file_descriptor_set();
    compiler.include_source_info(false);
    let encoded = compiler.encode_file_descriptor_set();

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), &encoded)?;

    let pool = DescriptorPool::decode(encoded.as_slice())?;
    let redacted: Vec<_> = pool
        .all_messages()
        .filter(|message| message.full_name().starts_with("keygate."))
        .filter(|message| message.fields().any(|field| is_redacted(&field)))
        .collect();
    fs::write(out.join("redacted.rs"), redacted_debug(&redacted)?)?;

    tonic_prost_build::configure()
        .build_transport(false)
        .skip_debug(redacted.iter().map(|m| format!(".{}", m.full_name())))
        .include_file("packages.rs")
        .compile_fds(documented)?;

    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|it| it == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options
        .get_field_by_name("debug_redact")
        .is_some_and(|it| *it == Value::Bool(true))
}

fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|it| !it.is_synthetic())
}

fn redacted_debug(messages: &[MessageDescriptor]) -> Result<String, std::fmt::Error> {
    const HIDDEN: &str = "&::core::format_args!(\"[redacted]\")";
    let mut code = String::new();
    for message in messages {
        let path = message.package_name().replace('.', "::");
        let name = message.name();
        writeln!(code, "impl ::core::fmt::Debug for {path}::{name} {{")?;
        writeln!(
            code,
            "fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{"
        )?;
        writeln!(code, "let mut it = f.debug_struct(\"{name}\");")?;
        for field in message.fields().filter(|it| real_oneof(it).is_none()) {
            let (label, member) = (field.name(), rust_name(field.name()));
            if is_redacted(&field) {
                let is_set = if field.is_list() || !field.supports_presence() {
                    format!("!self.{member}.is_empty()")
                } else {
                    format!("self.{member}.is_some()")
                };
                writeln!(code, "if {is_set} {{ it.field(\"{label}\", {HIDDEN}); }}")?;
            } else {
                writeln!(code, "it.field(\"{label}\", &self.{member});")?;
            }
        }
        for oneof in message.oneofs().filter(|it| !it.is_synthetic()) {
            let label = oneof.name();
            writeln!(
                code,
                "it.field(\"{label}\", &self.{});",
                rust_name(oneof.name())
            )?;
        }
        writeln!(code, "it.finish() }} }}")?;

        for oneof in message.oneofs().filter(|it| !it.is_synthetic()) {
            let module = snake(name);
            let kind = camel(oneof.name());
            writeln!(
                code,
                "impl ::core::fmt::Debug for {path}::{module}::{kind} {{"
            )?;
            writeln!(
                code,
                "fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{ match self {{"
            )?;
            for field in oneof.fields() {
                let variant = camel(field.name());
                let shown = if is_redacted(&field) { HIDDEN } else { "it" };
                let bound = if is_redacted(&field) { "_" } else { "it" };
                writeln!(
                    code,
                    "Self::{variant}({bound}) => f.debug_tuple(\"{variant}\").field({shown}).finish(),"
                )?;
            }
            writeln!(code, "}} }} }}")?;
        }
    }
    Ok(code)
}

fn rust_name(name: &str) -> String {
    match name {
        "type" => "r#type".to_owned(),
        name => name.to_owned(),
    }
}

fn camel(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|it| it.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
        })
        .collect()
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
