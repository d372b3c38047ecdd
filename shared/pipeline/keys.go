package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Objects of the pipeline, by the first element of their key:
//
//	sources/{host:port/path}/{ref}[+submodules][+git][+tags][@credential]/source.json   sourceRecord
//	sources/.../{sha256}.tree                   the tree it names (archive.TreeWriter)
//	deps/sha256/{hex}                           a dependency file
//	deps/sha256/{hex}.json, deps/{other algorithm}/{hex}, deps/url/{sha256 of URL}   what a lockfile names it by: its
//	                                            SHA-256, size and CRC
//	results/{manager}/{hash}.json               resolver.Output
//	prefixes/{hash of deps/}.json               prefixRecord: where a bundle's beginning can be copied from
//	bundles/{hash}/bundle.tar.gz, .sha256, packages.json, bundle.json
//	configfiles/{sha256}                        configuration files, base64
//	reaper/prune.json                           pruneState: where pruning goes on
//	logs/{id}/...                               package requestlog

// formatVersion is part of every results and bundle key: raise it when the same input gives other bytes.
const formatVersion = "1"

// sourceKey is where the record of a source is. It names the host, so that the same path on two
// hosts never shares a source, and the credential that could read it, never the user info itself.
func sourceKey(repo, ref, credential string, v variant) string {
	place := repo
	if u, err := url.Parse(repo); err == nil && u.Host != "" {
		place = strings.ToLower(u.Host) + strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), ".git")
		if u.RawQuery != "" {
			place += "?" + u.RawQuery
		}
	} else if at := strings.LastIndex(repo, "@"); at >= 0 { // scp-like: git@host:path
		place = strings.Replace(strings.TrimSuffix(repo[at+1:], ".git"), ":", "/", 1)
	}
	elements := []string{"sources"}
	for _, e := range strings.Split(place, "/") {
		if e != "" {
			elements = append(elements, keyElement(e))
		}
	}
	if len(elements) == 1 { // no URL at all; the source step refuses it
		elements = append(elements, "%")
	}
	name := ref
	for _, part := range []struct {
		on   bool
		text string
	}{{v.Submodules, "+submodules"}, {v.GitDir, "+git"}, {v.Tags, "+tags"}} {
		if part.on {
			name += part.text
		}
	}
	if credential != "" {
		name += "@" + keyHash(credential)[:16]
	}
	return strings.Join(append(elements, name, "source.json"), "/")
}

// plainElement are the elements of a URL that can stand in a key as they are. No other begins with "%".
var plainElement = regexp.MustCompile(`^[A-Za-z0-9_~@:+-][A-Za-z0-9._~@:+-]*$`)

// keyElement makes an element of a key of any text: what is odd is hashed, so that two URLs never share
// a source.
func keyElement(e string) string {
	if plainElement.MatchString(e) {
		return e
	}
	return "%" + keyHash(e)[:32]
}

// variant is what a checkout contains besides the commit's own files.
type variant struct {
	Submodules, GitDir, Tags bool
}

func keyHash(parts ...any) string {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(parts); err != nil {
		panic(fmt.Sprintf("hashing a key: %v", err)) // only plain data is hashed
	}
	return hex.EncodeToString(h.Sum(nil))
}

// resultKey covers everything a resolver can see: the tree, the repository with its tags, the request's
// options, flags and replacements, the settings, and the resolver's own version.
func resultKey(src sourceRecord, m manager, in resolver.Input) string {
	flags := slices.Clone(in.Flags)
	slices.Sort(flags)
	return "results/" + m.Name + "/" + keyHash(formatVersion, m.Descriptor.Version, src.Tree, src.Removed, in.Repo, canonical(in.Options),
		flags, in.Replacements, m.settings) + ".json"
}

// canonical removes white space and key order from the options as they were sent.
func canonical(options json.RawMessage) any {
	if len(options) == 0 {
		return nil
	}
	var v any
	if json.Unmarshal(options, &v) != nil {
		return string(options)
	}
	return v
}

// bundleDir covers everything that the bundle's bytes and the packages data depend on.
func bundleDir(src sourceRecord, results map[string]string, req request.Request) string {
	names := make([]string, 0, len(results))
	for name := range results {
		names = append(names, name)
	}
	slices.Sort(names)
	var list []string
	for _, name := range names {
		list = append(list, name, results[name])
	}
	return "bundles/" + keyHash(formatVersion, src.Tree, src.Removed, src.CommitTime.Unix(), list, slices.Contains(req.Flags, request.FlagIncludeGitDir)) + "/"
}
