package all_test

import (
	"errors"
	"testing"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
)

// version of a dependency; "-" is none.
func version(text string) *string {
	if text == "-" {
		return nil
	}
	return &text
}

const hermetic = "https://github.com/namespace/repo"

func TestDependencyPURLs(t *testing.T) {
	const vcs = "pkg:generic/n?vcs_url="
	for _, test := range []struct{ name, kind, dependency, version, want string }{
		{"G74 module", "gomod", "github.com/Azure/x", "v1.2.3", "pkg:golang/github.com%2FAzure%2Fx@v1.2.3"},
		{"module", "gomod", "github.com/Masterminds/semver", "v1.4.2", "pkg:golang/github.com%2FMasterminds%2Fsemver@v1.4.2"},
		{"standard library, null", "go-package", "fmt", "-", "pkg:golang/fmt"},
		{"standard library, empty", "go-package", "net/http", "", "pkg:golang/net%2Fhttp"},

		{"plain", "npm", "lodash", "4.17.21", "pkg:npm/lodash@4.17.21"},
		{"scope", "npm", "@types/events", "3.0.0", "pkg:npm/%40types/events@3.0.0"},
		{"file", "npm", "f", "file:./a b", "pkg:generic/f?file=.%2Fa%20b"},
		{"file, absolute", "npm", "f", "file:///abs/f", "pkg:generic/f?file=%2Fabs%2Ff"},
		{"file, with query and fragment", "yarn", "@s/f", "file:a?b=c#d", "pkg:generic/%40s/f?file=a"},
		{"file, escapes stay", "npm", "f", "file:///a%20b", "pkg:generic/f?file=%2Fa%2520b"},
		{"forge shorthand", "npm", "n", "github:open-cluster-management/security-middleware#abc", "pkg:github/open-cluster-management/security-middleware@abc"},
		{"forge shorthand, case kept, deep", "yarn", "n", "gitlab:Deep/nested/Repo#abc", "pkg:gitlab/Deep/nested/Repo@abc"},
		{"any word", "npm", "n", "word:a/b#c", "pkg:word/a/b@c"},
		{"git", "npm", "n", "git://h/a.git#c", vcs + "git%3A%2F%2Fh%2Fa.git%23c"},
		{"git+http", "npm", "n", "git+http://h/a#c", vcs + "git%2Bhttp%3A%2F%2Fh%2Fa%23c"},
		{"git+https", "yarn", "n", "git+https://h/a#c", vcs + "git%2Bhttps%3A%2F%2Fh%2Fa%23c"},
		{"git+ssh", "npm", "n", "git+ssh://git@h/a#c", vcs + "git%2Bssh%3A%2F%2Fgit%40h%2Fa%23c"},
		{"web", "npm", "@s/n", "https://x/y.tgz?z=1#h", "pkg:generic/%40s/n?download_url=https%3A%2F%2Fx%2Fy.tgz%3Fz%3D1%23h"},
		{"web, plain", "yarn", "n", "http://x/y.tgz", "pkg:generic/n?download_url=http%3A%2F%2Fx%2Fy.tgz"},

		{"index", "pip", "requests_FOO bar", "2.24.0", "pkg:pypi/requests-foo-bar@2.24.0"},
		{"P76 index", "pip", "Aio_WSGI.x", "0.7", "pkg:pypi/aio-wsgi.x@0.7"},
		{"P71 git", "pip", "appr", "git+https://github.com/quay/appr.git@R#egg=appr", "pkg:github/quay/appr@R"},
		{
			"P72 URL", "pip", "appr", "https://github.com/quay/appr/archive/37ff.zip#cachito_hash=sha256:ee6a",
			"pkg:generic/appr?download_url=https%3A%2F%2Fgithub.com%2Fquay%2Fappr%2Farchive%2F37ff.zip%23cachito_hash%3Dsha256%3Aee6a&checksum=sha256:ee6a",
		},
		{
			"P73 URL with egg", "pip", "appr", "https://github.com/quay/appr/archive/37ff.zip#egg=appr&cachito_hash=sha256:ee6a",
			"pkg:generic/appr?download_url=https%3A%2F%2Fgithub.com%2Fquay%2Fappr%2Farchive%2F37ff.zip%23egg%3Dappr%26cachito_hash%3Dsha256%3Aee6a&checksum=sha256:ee6a",
		},
		{"URL, checksum escaped", "pip", "Op_X", "https://h/x.zip#cachito_hash=sha256%3Aab", "pkg:generic/op-x?download_url=https%3A%2F%2Fh%2Fx.zip%23cachito_hash%3Dsha256%253Aab&checksum=sha256:ab"},
		{"P74 git with a port", "pip", "c", "git+https://gitlab.com:8443/a/b/c.git@R", "pkg:generic/c?vcs_url=https%3A%2F%2Fgitlab.com%3A8443%2Fa%2Fb%2Fc.git%40R"},
		{"P75 GitLab", "pip", "b", "git+https://gitlab.com/a/b.git@R", "pkg:generic/b?vcs_url=https%3A%2F%2Fgitlab.com%2Fa%2Fb.git%40R"},
		{"P75 Bitbucket", "pip", "b", "git+https://bitbucket.org/A/b@R", "pkg:bitbucket/a/b@R"},
		{"git, name not normalised", "pip", "C_n2", "git+https://gitlab.com/Q/A.git@abc", "pkg:generic/C_n2?vcs_url=https%3A%2F%2Fgitlab.com%2FQ%2FA.git%40abc"},
		{"git over ssh", "pip", "n", "git+ssh://git@h/a@abc", vcs + "ssh%3A%2F%2Fgit%40h%2Fa%40abc"},

		{"gem", "rubygems", "Zeit_werk", "2.4.2", "pkg:gem/Zeit_werk@2.4.2"},
		{"gem from git", "rubygems", "httpclient", "git+https://github.com/3scale/httpclient.git@abc", "pkg:github/3scale/httpclient@abc"},
		{"gem in the repository", "rubygems", "pathgem", "./vendor/pathgem", "pkg:github/namespace/repo@R#vendor/pathgem"},
		{"gem that is the repository's root", "rubygems", "pathgem", "./vendor/../x", "pkg:github/namespace/repo@R#x"},

		{"M01 submodule", "git-submodule", "lib", "https://github.com/o/lib.git#c", "pkg:github/o/lib@c"},
		{"submodule", "git-submodule", "tour", "https://github.com/Org/Tour.git#abc", "pkg:github/org/tour@abc"},
		{"M09 submodule", "git-submodule", "lib", "https://h/o/lib.git#c", "pkg:generic/lib?vcs_url=https%3A%2F%2Fh%2Fo%2Flib.git%40c"},
		{"submodule, the last # counts", "git-submodule", "n", "https://h/a#b#c", vcs + "https%3A%2F%2Fh%2Fa%23b%40c"},
	} {
		t.Run(test.kind+" "+test.name, func(t *testing.T) {
			c := packages.Context{Repo: hermetic, Ref: "R"}
			owner := packages.Package{Name: "p", Type: test.kind}
			got, err := documenttest.Rules()[test.kind].DependencyPURL(c, owner, packages.Dependency{Name: test.dependency, Type: test.kind, Version: version(test.version)})
			if got != test.want || err != nil {
				t.Errorf("%s %q: got %s, %v\nwant %s", test.dependency, test.version, got, err, test.want)
			}
		})
	}
}

// Their texts are shown in an answer 501.
func TestNoPURL(t *testing.T) {
	const convert = "Could not convert version "
	for _, test := range []struct{ kind, version, want string }{
		{"npm", "github:something/odd", convert + "github:something/odd to purl"},
		{"yarn", "github:something#ref", convert + "github:something#ref to purl"},
		{"npm", "github:a/#ref", convert + "github:a/#ref to purl"},
		{"npm", "github:/a#ref", convert + "github:/a#ref to purl"},
		{"npm", "github:a/b#", convert + "github:a/b# to purl"},
		{"npm", "npm:other@1.0.0", convert + "npm:other@1.0.0 to purl"},
		{"yarn", "workspace:*", convert + "workspace:* to purl"},
		{"npm", "", convert + " to purl"},
		{"npm", "unknown://some.domain/x", "Unknown protocol in npm package version: unknown://some.domain/x"},
		{"yarn", "ssh://h/x", "Unknown protocol in yarn package version: ssh://h/x"},
		{"pip", "https://h/x.zip", convert + "https://h/x.zip to purl"},
		{"pip", "https://h/x.zip#egg=x", convert + "https://h/x.zip#egg=x to purl"},
		{"pip", "file:./x", convert + "file:./x to purl"},
		{"pip", "git+https://github.com/a/b", convert + "git+https://github.com/a/b to purl"},
		{"pip", "git+https://github.com/a@R", convert + "git+https://github.com/a@R to purl"},
		{"rubygems", "git+https://h/a", convert + "git+https://h/a to purl"},
		{"git-submodule", "https://h/a", convert + "https://h/a to purl"},
		{"git-submodule", "-", convert + "None to purl"},
		{"gomod", "./x", "Could not find parent Go module for package: n"},
		{"go-package", "./x", "Could not find parent Go module for package: n"},
	} {
		t.Run(test.kind+" "+test.version, func(t *testing.T) {
			got, err := documenttest.Rules()[test.kind].DependencyPURL(packages.Context{Repo: hermetic, Ref: "R"},
				packages.Package{Name: "p", Type: test.kind}, packages.Dependency{Name: "n", Type: test.kind, Version: version(test.version)})
			var e *purl.Error
			if !errors.As(err, &e) || e.Message != test.want || got != "" {
				t.Errorf("got %q, %v, want the error %q", got, err, test.want)
			}
		})
	}
}

func TestPackagePURLs(t *testing.T) {
	const generic = "https://git.example.com/Org/Repo.git"
	for _, test := range []struct{ name, kind, pkg, version, path, repo, want string }{
		{"P77 in a folder", "pip", "foo", "1", "sub/dir", "https://github.com/Org/Repo.git", "pkg:github/org/repo@R#sub/dir"},
		{"P77 at the root", "pip", "foo", "1", "", generic, "pkg:generic/foo?vcs_url=https%3A%2F%2Fgit.example.com%2FOrg%2FRepo.git%40R"},
		{"M08 pip in a submodule's folder", "pip", "lib", "1.0", "third/lib", hermetic, "pkg:github/namespace/repo@R#third/lib"},
		{"at client", "npm", "n", "1", "client", hermetic, "pkg:github/namespace/repo@R#client"},
		{"path not escaped", "yarn", "n", "1", "a b/@c", generic, "pkg:generic/n?vcs_url=https%3A%2F%2Fgit.example.com%2FOrg%2FRepo.git%40R#a b/@c"},
		{"gem", "rubygems", "n", "1", "first_pkg", hermetic, "pkg:github/namespace/repo@R#first_pkg"},
		{"module has no path", "gomod", "a.org/x", "v1.0.0", "sub", hermetic, "pkg:golang/a.org%2Fx@v1.0.0"},
		{"Go package has no path", "go-package", "a.org/x/p", "v1.0.0", "p", hermetic, "pkg:golang/a.org%2Fx%2Fp@v1.0.0"},
		{"M01 submodule has no path", "git-submodule", "lib", "https://github.com/o/lib.git#c", "third/lib", hermetic, "pkg:github/o/lib@c"},
	} {
		t.Run(test.kind+" "+test.name, func(t *testing.T) {
			got, err := documenttest.Rules()[test.kind].PackagePURL(packages.Context{Repo: test.repo, Ref: "R"},
				packages.Package{Name: test.pkg, Type: test.kind, Version: version(test.version), Path: test.path})
			if got != test.want || err != nil {
				t.Errorf("got %s, %v\nwant %s", got, err, test.want)
			}
		})
	}
	t.Run("gem in a package's folder", func(t *testing.T) {
		got, err := documenttest.Rules()["rubygems"].DependencyPURL(packages.Context{Repo: hermetic, Ref: "R"},
			packages.Package{Name: "p", Type: "rubygems", Path: "first_pkg"}, packages.Dependency{Name: "pathgem", Version: version("./vendor/pathgem")})
		if want := "pkg:github/namespace/repo@R#first_pkg/vendor/pathgem"; got != want || err != nil {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	})
}
