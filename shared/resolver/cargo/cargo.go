// Package cargo resolves Rust projects: it fetches the crates and git repositories that Cargo.lock names.
//
// Nothing is resolved and nothing is run, and no cargo is needed: the lockfile says what is fetched, and
// the manifests (Cargo.toml) of the repository say which of its folders are packages. Beneath is the package
// crate, which pip uses as well.
package cargo
