//! Recordings, in the format of VCR (`http_interactions`).

use std::{collections::BTreeMap, fmt, fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Uri;
use keygate::contract::{Contract, Operation};
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

/// A recorded call.
#[derive(Clone, Debug)]
pub(super) struct Interaction {
    file: String,
    number: usize,
    method: String,
    path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Json>,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) answer: Vec<u8>,
}

impl fmt::Display for Interaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, number) = (&self.file, self.number);
        write!(f, "{file} #{number} {} {}", self.method, self.path)
    }
}

/// All interactions of all recordings in a folder, by name and in order.
pub(super) fn read(folder: &Path) -> Vec<Interaction> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some_and(|it| it == "json"));
    files.sort();
    files.iter().flat_map(|it| file(it)).collect()
}

fn file(path: &Path) -> Vec<Interaction> {
    let text = fs::read_to_string(path).unwrap();
    let recording: Json = serde_json::from_str(&text).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let Some(all) = recording["http_interactions"].as_array() else {
        println!("skipped: {}: not a recording", path.display());
        return Vec::new();
    };
    all.iter()
        .enumerate()
        .map(|(at, it)| interaction(&name, at + 1, it))
        .collect()
}

fn interaction(file: &str, number: usize, it: &Json) -> Interaction {
    let (request, response) = (&it["request"], &it["response"]);
    let uri: Uri = request["uri"].as_str().unwrap().parse().unwrap();
    let body = bytes(&request["body"]);
    Interaction {
        file: file.to_owned(),
        number,
        method: request["method"].as_str().unwrap().to_uppercase(),
        path: decoded(uri.path()),
        query: query(uri.query().unwrap_or_default()),
        body: (!body.is_empty()).then(|| content(&body)),
        status: u16::try_from(response["status"]["code"].as_u64().unwrap()).unwrap(),
        headers: headers(&response["headers"]),
        answer: bytes(&response["body"]),
    }
}

/// What a body says: JSON, or a text.
fn content(body: &[u8]) -> Json {
    let text = || String::from_utf8_lossy(body).into_owned().into();
    serde_json::from_slice(body).unwrap_or_else(|_| text())
}

/// A body: nothing, a text, or an object that holds it, as it is or in base64.
fn bytes(body: &Json) -> Vec<u8> {
    let text = |it: &Json| it.as_str().map(|it| it.as_bytes().to_vec());
    let encoded = |it: &Json| it.as_str().map(|it| BASE64_STANDARD.decode(it).unwrap());
    text(body)
        .or_else(|| text(&body["string"]))
        .or_else(|| encoded(&body["base64_string"]))
        .unwrap_or_default()
}

fn headers(headers: &Json) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, values) in headers.as_object().into_iter().flatten() {
        let many = values.as_array().into_iter().flatten();
        let values = many.chain(values.is_string().then_some(values));
        for value in values.filter_map(Json::as_str) {
            all.push((name.to_lowercase(), value.to_owned()));
        }
    }
    all
}

/// The parameters of a query, decoded.
pub(super) fn query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|it| !it.is_empty());
    pairs
        .map(|it| {
            let (name, value) = it.split_once('=').unwrap_or((it, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

pub(super) fn decoded(text: &str) -> String {
    let text = percent_decode_str(text).decode_utf8();
    text.unwrap().into_owned()
}

/// A request as JSON, so that two can be compared.
pub(super) fn as_json(
    method: &str,
    path: &str,
    query: &[(String, String)],
    body: Option<&Json>,
) -> Json {
    let mut parameters: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in query {
        let values: Vec<_> = match name.as_str() {
            "include" => value.split(',').map(str::to_owned).collect(),
            // an encoded `+`, or one that stands for itself
            name if name.starts_with("filter[") => vec![value.replace(" 00:00", "+00:00")],
            _ => vec![value.clone()],
        };
        parameters.entry(name).or_default().extend(values);
    }
    json!({ "method": method, "path": path, "query": parameters, "body": body })
}

impl Interaction {
    pub(super) fn request(&self) -> Json {
        as_json(&self.method, &self.path, &self.query, self.body.as_ref())
    }

    /// The answer's body, if it is JSON.
    pub(super) fn json(&self) -> Option<Json> {
        serde_json::from_slice(&self.answer).ok()
    }

    /// The operation that mirrors its route, and the parameters in its path.
    pub(super) fn operation<'c>(
        &self,
        contract: &'c Contract,
    ) -> Option<(&'c Operation, Parameters<'c>)> {
        contract
            .operations()
            .iter()
            .filter(|it| it.provider() == "datadog")
            .find_map(|it| {
                let (method, template) = it.route.as_deref()?.split_once(' ')?;
                let parameters = parameters(template, &self.path)?;
                (method == self.method).then_some((it, parameters))
            })
    }

    /// What an error's body says: texts, or JSON:API error objects.
    pub(super) fn words(&self) -> Vec<String> {
        let body = self.json().unwrap_or_default();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let word = |it: &Json| match (it.as_str(), it["title"].as_str(), it["detail"].as_str()) {
            (Some(text), ..) => Some(text.to_owned()),
            (_, Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
            (_, title, detail) => detail.or(title).map(str::to_owned),
        };
        errors.iter().filter_map(word).collect()
    }
}

/// The names of a route's parameters, and what stands for them in a path.
pub(super) type Parameters<'c> = Vec<(&'c str, String)>;

/// What stands in a path for the template's parameters; `None` if it does not fit.
fn parameters<'c>(template: &'c str, path: &str) -> Option<Parameters<'c>> {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, given) in template.into_iter().zip(path) {
        let name = wanted.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        match name {
            Some(name) => parameters.push((name, given.to_owned())),
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(parameters)
}
