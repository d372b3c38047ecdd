package pnpm

import "strings"

// withoutPeers cuts what pnpm puts behind the identity of a package: its peers and its patch, in
// parentheses, which may be nested.
//
//	a@1.0.0(b@2.0.0(c@3.0.0))(patch_hash=x) -> a@1.0.0
func withoutPeers(key string) string {
	for strings.HasSuffix(key, ")") {
		open, depth := -1, 0
		for i := len(key) - 1; i >= 0 && open < 0; i-- {
			switch key[i] {
			case ')':
				depth++
			case '(':
				if depth--; depth == 0 {
					open = i
				}
			}
		}
		if open <= 0 {
			return key
		}
		key = key[:open]
	}
	return key
}

// splitKey splits a key of `packages` without its peers. Lockfiles of version 6 begin registry packages with
// a slash; what they have from elsewhere has no name in its key.
//
//	@a/b@1.0.0              @a/b, 1.0.0
//	/@a/b@1.0.0             @a/b, 1.0.0
//	a@https://h/a.tgz       a, https://h/a.tgz
//	@h/a.tgz, file:a        "", the key
func splitKey(key string) (name, version string) {
	bare := strings.TrimPrefix(key, "/")
	if len(bare) < 2 {
		return "", key
	}
	at := strings.IndexByte(bare[1:], '@') + 1
	if at == 0 {
		return "", key
	}
	name, version = bare[:at], bare[at+1:]
	if bare == key && (strings.Contains(name, ":") || strings.Count(name, "/") > 1) {
		return "", key
	}
	return name, version
}

// refKey is the key that a dependency leads to, peers cut, as pnpm finds it; empty for a link to a workspace
// or another folder. old: the lockfile is of version 6.
//
//	ms: 2.1.3 -> ms@2.1.3      alias: isarray@2.0.5 -> isarray@2.0.5      w: link:packages/w -> ""
func refKey(name, ref string, old bool) string {
	if strings.HasPrefix(ref, "link:") {
		return ""
	}
	ref = withoutPeers(ref)
	if old {
		if strings.HasPrefix(ref, "file:") || strings.Contains(ref, "/") {
			return ref
		}
		return "/" + name + "@" + ref
	}
	if strings.HasPrefix(ref, "@") {
		return ref
	}
	at, colon := strings.IndexByte(ref, '@'), strings.IndexByte(ref, ':')
	if at > 0 && (colon < 0 || at < colon) {
		return ref
	}
	return name + "@" + ref
}
