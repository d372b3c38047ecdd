package pip

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const aCommit = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"

// newReader reads requirements files of a tree, as a request does.
func newReader(t testing.TB, files map[string]string, log *bytes.Buffer) *requirementsReader {
	t.Helper()
	x, err := newIndexes("https://pypi.example/simple", `["other.example:8443"]`)
	must(t, err)
	return &requirementsReader{
		source: tree(t, files), log: slog.New(slog.NewTextHandler(log, nil)), indexes: x, files: map[string]*requirementsFile{},
	}
}

// describe shows a requirement in one line.
func describe(r *requirement) string {
	text := map[kind]string{fromIndex: "index", fromGit: "git", fromURL: "url"}[r.kind] + " " + r.pkg
	if r.version != "" {
		text += " " + r.version
	}
	if len(r.extras) > 0 {
		text += fmt.Sprint(r.extras)
	}
	if r.git.ref != "" {
		text += " " + r.git.public + " " + r.git.ref + " " + r.git.folder
	}
	if r.ext != "" {
		text += " " + r.ext
	}
	for _, p := range r.fragment {
		text += " " + p.key + "=" + p.value
	}
	if r.marker != "" {
		text += " ; " + r.marker
	}
	for _, h := range r.hashes {
		text += " #" + h
	}
	for _, o := range r.options {
		text += " [" + o.String() + "]"
	}
	if r.editable {
		text += " editable"
	}
	return text
}

func TestRequirements(t *testing.T) {
	const extensions = "(expected one of .zip, .tar.gz, .tar.bz2, .tar.xz, .tar.Z, .tar)"
	oneHash := func(n int, line string) string {
		return fmt.Sprintf("URL requirement must specify exactly one hash, but specifies %d: %s. Use the --hash option or the #cachito_hash URL fragment, but not both (or more than one --hash).", n, line)
	}
	noRef := func(line string) string {
		return "No git ref in " + line + " (expected 40 hexadecimal characters)"
	}
	const gitURL = "git+https://github.com/quay/appr.git"
	tests := []struct {
		name, text string
		want       string // requirements, one a line
		wantErr    string // ValidationError
	}{
		{"P20 no version", "aiowsgi", "", "Requirement must be pinned to an exact version: aiowsgi"},
		{"P20 at least", "aiowsgi>=0.7", "", "Requirement must be pinned to an exact version: aiowsgi>=0.7"},
		{"P20 range", "aiowsgi>=0.7,<1.0", "", "Requirement must be pinned to an exact version: aiowsgi>=0.7,<1.0"},
		{"P20 compatible", "aiowsgi~=0.6", "", "Requirement must be pinned to an exact version: aiowsgi~=0.6"},
		{"P20 two pins", "aiowsgi==0.7,==0.7", "", "Requirement must be pinned to an exact version: aiowsgi==0.7,==0.7"},
		{"P21 two equal signs", "aiowsgi==0.7", "index aiowsgi 0.7", ""},
		{"P21 three equal signs", "aiowsgi===0.7", "index aiowsgi 0.7", ""},
		{"P21 spaces", "aiowsgi == 0.7", "index aiowsgi 0.7", ""},
		{"P22 prefix", "aiowsgi==0.*", "", "Requirement must be pinned to an exact version: aiowsgi==0.*"},
		{"P23 extras", "aiowsgi[spam,bacon]==0.7", "index aiowsgi 0.7[spam bacon]", ""},
		{"P23 marker", `aiowsgi==0.7 ; python_version < "3"`, "index aiowsgi 0.7", ""},
		{"P24 two on a line", "aiowsgi==0.7 asn1crypto==1.3.0", "", "Unable to parse the requirement 'aiowsgi==0.7 asn1crypto==1.3.0': …"},
		{"P25 the project itself", "-e .", "", "Unable to parse the requirement '.': …"},
		{"P25 a folder", "./foo", "", "Unable to parse the requirement './foo': …"},
		{"P25 one equal sign", "foo = 1", "", "Unable to parse the requirement 'foo = 1': …"},
		{"P26 unknown option", "--spam", "", "Unknown requirements file option '--spam'"},
		{"P26 unknown option with value", "--spam=1", "", "Unknown requirements file option '--spam=1'"},
		{"P27 flag with a value", "--prefer-binary=spam", "", "Unexpected value for requirements file option '--prefer-binary=spam'"},
		{"P28 no value at the end", "--index-url", "", "Requirements file option '--index-url' requires a value"},
		{"P28 no value behind a requirement", "aiowsgi --hash", "", "Requirements file option '--hash' requires a value"},
		{"P28 empty value", "aiowsgi --hash=", "", "Requirements file option '--hash' requires a value"},
		{"P28 only-binary", "--only-binary", "", "Requirements file option '--only-binary' requires a value"},
		{"P29 editable alone", "-e", "", "Requirements file option(s) ['-e'] can only be applied to a requirement"},
		{"P29 hash alone", "--hash=sha256:aa", "", "Requirements file option(s) ['--hash', 'sha256:aa'] can only be applied to a requirement"},
		{"P30 refused", "--extra-index-url https://x --find-links y -f z --no-index", "", "Cachito does not support the following options: --extra-index-url, --find-links, -f, --no-index"},
		{"P30 refused after the whole file is parsed", "--no-index\n--spam", "", "Unknown requirements file option '--spam'"},
		{"P31 refused behind a requirement", "foo==1 --only-binary=:all:", "", "Cachito does not support the following options: --only-binary"},
		{"P32 ignored", "-c c.txt\n--pre\nfoo==1 --no-binary :all:\n--use-feature=x\n--prefer-binary", "index foo 1", ""},
		{"P34 file", "pip @ file:///a.zip", "", "Direct references with 'file' scheme are not supported, 'pip @ file:///a.zip'"},
		{"P34 git over ssh", "git+ssh://git@github.com/a/b.git@" + aCommit + "#egg=b", "", "Direct references with 'git+ssh' scheme are not supported, …"},
		{"P34 Windows", `C:\foo\bar.zip`, "", `Direct references with 'c' scheme are not supported, 'C:\\foo\\bar.zip'`},
		{"P35 no egg", "https://x.org/a.tar.gz", "", "Egg name could not be determined from the requirement 'https://x.org/a.tar.gz'"},
		{"P35 empty egg", "https://x.org/a.tar.gz#egg=", "", "Egg name could not be determined from the requirement 'https://x.org/a.tar.gz#egg='"},
		{"P35 egg alone", "https://x.org/a.tar.gz#egg", "", "Egg name could not be determined from the requirement 'https://x.org/a.tar.gz#egg'"},
		{"P36 two at signs", "a@b@https://x.org/a.zip", "", "Unable to extract scheme from direct access requirement 'a@b@https://x.org/a.zip'"},
		{"P37 Subversion", "svn+https://x.org/a#egg=a", "", "Unsupported VCS for a @ svn+https://x.org/a#egg=a: svn+https"},
		{"P38 short ref", gitURL + "@58c88e49#egg=appr", "", noRef("appr @ " + gitURL + "@58c88e49#egg=appr")},
		{"P38 no ref", "appr @ " + gitURL, "", noRef("appr @ " + gitURL)},
		{"P38 branch", "appr @ " + gitURL + "@master", "", noRef("appr @ " + gitURL + "@master")},
		{"P38 in the user's name", "appr @ git+https://x@" + aCommit, "", noRef("appr @ git+https://" + aCommit)},
		{"P39 no hash", "a @ https://x.org/a.tar.gz", "", oneHash(0, "a @ https://x.org/a.tar.gz")},
		{"P40 two options", "a @ https://x.org/a.zip --hash=sha256:ab --hash=sha256:cd", "", oneHash(2, "a @ https://x.org/a.zip")},
		{"P40 option and fragment", "a @ https://x.org/a.zip#cachito_hash=sha256:ab --hash=sha256:ab", "", oneHash(2, "a @ https://x.org/a.zip#cachito_hash=sha256:ab")},
		{"P41 .tgz", "a @ https://x.org/a.tgz --hash=sha256:ab", "", "URL for requirement does not contain any recognized file extension: a @ https://x.org/a.tgz " + extensions},
		{"P41 in the query", "a @ https://x.org/get?f=a.tar.gz#cachito_hash=sha256:ab", "", "URL for requirement does not contain any recognized file extension: a @ https://x.org/get?f=a.tar.gz#cachito_hash=sha256:ab " + extensions},
		{"P41 wheel", "a @ https://x.org/a-1-py3-none-any.whl --hash=sha256:ab", "", "URL for requirement does not contain any recognized file extension: a @ https://x.org/a-1-py3-none-any.whl " + extensions},
		{"P42 another has a hash", "aiowsgi==0.7 --hash=sha256:ab\nfoo==1", "", "Hash is required, dependency does not specify any: foo==1"},
		{"P42 --require-hashes", "--require-hashes\naiowsgi==0.7", "", "Hash is required, dependency does not specify any: aiowsgi==0.7"},
		{"P43 cachito_hash requires nothing of others", "a @ https://x/a.zip#cachito_hash=sha256:ab\nfoo==1", "url a .zip cachito_hash=sha256:ab\nindex foo 1", ""},
		{"P44 no digest", "aiowsgi==0.7 --hash=sha256", "", "Not a valid hash specifier: 'sha256' (expected algorithm:digest)"},
		{"P44 no digest in the fragment", "a @ https://x.org/a.zip#cachito_hash=sha256", "", "Not a valid hash specifier: 'sha256' (expected algorithm:digest)"},
		{"P45 hashes on lines of their own", "amqp==2.5.2 \\\n   --hash=sha256:6e \\\n   --hash=sha256:77", "index amqp 2.5.2 #sha256:6e #sha256:77", ""},
		{"P46 joined without a space", "a\\\n==1\\", "index a 1", ""},
		{"P47 comments", "aiowsgi==0.7 # c\n# c\n   # c\n\n", "index aiowsgi 0.7", ""},
		{"P48 a comment that ends in a backslash", "# c \\\nb==2", "index b 2", ""},
		{"P49 CRLF", "amqp==2.5.2 \\\r\n   --hash=sha256:6e\r\nb==1 --hash=sha256:77\r\n", "index amqp 2.5.2 #sha256:6e\nindex b 1 #sha256:77", ""},
		{"P50 BOM", "\ufeffa==1", "index a 1", ""},
		{"P51 egg", "https://x.org/a.zip#cachito_hash=sha256:ab&egg=My_Pkg.x", "url My-Pkg.x .zip cachito_hash=sha256:ab egg=My_Pkg.x", ""},
		{"P52 egg and name", "ignored @ https://x.org/a.zip#egg=cnr_server&cachito_hash=sha256:ab", "url cnr-server .zip egg=cnr_server cachito_hash=sha256:ab", ""},
		{"P53 git in a hashed file", gitURL + "@" + aCommit + "#egg=a --hash=sha256:ab", "", "VCS requirements are not supported in hash-locked requirements files: a @ " + gitURL + "@" + aCommit + "#egg=a"},
		{"P53 git beside hashes", "b==1 --hash=sha256:ab\na @ " + gitURL + "@" + aCommit, "", "VCS requirements are not supported in hash-locked requirements files: a @ " + gitURL + "@" + aCommit},
		{"P71 git", gitURL + "@" + strings.ToUpper(aCommit) + "#egg=appr&subdirectory=a%20b", "git appr https://github.com/quay/appr.git " + aCommit + " github.com/quay/appr egg=appr subdirectory=a b", ""},
		{"P74 user, password and port", "git+https://u:p@gitlab.com:8443/a/b/c.git@" + aCommit + "#egg=c", "git c https://gitlab.com:8443/a/b/c.git " + aCommit + " gitlab.com:8443/a/b/c egg=c", ""},
		{"git alone", "x @ git://h.example/a@" + aCommit, "git x git://h.example/a " + aCommit + " h.example/a", ""},
		{"git with a query", "x @ git+https://h/a?x=1@2#egg=x", "", noRef("x @ git+https://h/a?x=1@2#egg=x")},
		{"git editable", "-e git+https://h/a.git@" + aCommit + "#egg=x", "git x https://h/a.git " + aCommit + " h/a egg=x editable", ""},
		{"git with a path that goes up", "x @ git+https://h/a/../b@" + aCommit, "", "The repository of x @ git+https://h/a/../b@" + aCommit + " cannot be stored: '..' is not a name for a folder …"},
		{"git with an escaped path that goes up", "x @ git+https://h/a/%2e%2e/b@" + aCommit, "", "The repository of …"},
		{"git with an escaped slash", "x @ git+https://h/a/%2f/b@" + aCommit, "", "The repository of …"},
		{"git without a host", "x @ git+https:///a@" + aCommit, "", "The repository of …"},
		{"git with a control character", "x @ git+https://h/a%07b@" + aCommit, "", "The repository of …"},
		{"git with another alphabet", "x @ git+https://h/\u0430pp@" + aCommit, "", "The repository of …"},
		{"passwords are not shown", "https://u:p@x.org/a.tar.gz", "", "Egg name could not be determined from the requirement 'https://x.org/a.tar.gz'"},
		{"a marker with a colon", `a==1; extra == "x:y"`, "index a 1", ""},
		{"a marker of a URL", `a @ https://x.org/a.zip#cachito_hash=sha256:ab ; os_name == "x:y"`, `url a .zip cachito_hash=sha256:ab ; os_name == "x:y"`, ""},
		{"a marker behind the semicolon's space", `https://x.org/a.zip#egg=a&cachito_hash=sha256:ab&subdirectory=sub ; os_name == "x"`, `url a .zip egg=a cachito_hash=sha256:ab subdirectory=sub ; os_name == "x"`, ""},
		{"a URL with a semicolon", "a @ https://x.org/a;b.zip#cachito_hash=sha256:ab", "url a .zip cachito_hash=sha256:ab", ""},
		{"extras of a URL", "a[b,c] @ https://x.org/a.zip#cachito_hash=sha256:ab", "url a[b c] .zip cachito_hash=sha256:ab", ""},
		{"extras of an egg", "https://x.org/a.zip#egg=a[b]&cachito_hash=sha256:ab", "url a[b] .zip egg=a[b] cachito_hash=sha256:ab", ""},
		{"a bad egg", "https://x.org/a.zip#egg=../x&cachito_hash=sha256:ab", "", "Unable to parse the requirement …"},
		{"a hash sign without a space", "a==1#c", "", "Unable to parse the requirement 'a==1#c': …"},
		{"options of pip are passed on", `a==1 --global-option="--x y" -C k=v --config-settings=a=b`, `index a 1 [--global-option="--x y"] [-C k=v] [--config-settings=a=b]`, ""},
		{"short options with their value", "-rother.txt", "", "Following requirement file has an invalid path: other.txt"},
		{"options in other places", "--pre a==1 --hash sha256:ab --trusted-host h", "index a 1 #sha256:ab", ""},
		{"look-alike name", "\u0430==1", "", "Unable to parse the requirement …"},
		{"a form before a hash", "a==1 --hash=x\nb", "", "Requirement must be pinned to an exact version: b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := newReader(t, map[string]string{"requirements.txt": tt.text}, &bytes.Buffer{}).read(t.Context(), "requirements.txt")
			if err == nil {
				err = checkAll(f.all(), false)
			}
			kind := fault.ValidationError
			if strings.HasPrefix(tt.wantErr, "Following") {
				kind = fault.InvalidRepoStructure
			}
			wantFault(t, err, fault.OriginClient, kind, tt.wantErr)
			if tt.wantErr != "" {
				return
			}
			var got []string
			for _, r := range f.requirements {
				got = append(got, describe(r))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequirementsWithWheels(t *testing.T) {
	f, err := parseRequirements("r.txt", "a @ https://x.org/a-1-py3-none-any.whl --hash=sha256:ab\nb @ https://x.org/b.tgz --hash=sha256:ab")
	must(t, err)
	must(t, f.requirements[0].check(true))
	wantFault(t, f.requirements[1].check(true), fault.OriginClient, fault.ValidationError,
		"URL for requirement does not contain any recognized file extension: b @ https://x.org/b.tgz (expected one of .zip, .tar.gz, .tar.bz2, .tar.xz, .tar.Z, .tar, .whl)")
}

func TestIncludedFiles(t *testing.T) {
	const invalid = "Following requirement file has an invalid path: "
	tests := []struct {
		name    string
		files   map[string]string
		want    string // files, with what they require
		kind    fault.Type
		wantErr string
		wantLog string
	}{
		{name: "P33 included", files: map[string]string{"r.txt": "a==1\n-r other.txt", "other.txt": "bar==2"}, want: "r.txt a other.txt bar"},
		{name: "P33 relative to the file", files: map[string]string{"r.txt": "-r d/a.txt", "d/a.txt": "--requirement=../b.txt\nx==1", "b.txt": "y==1"}, want: "r.txt d/a.txt x b.txt y"},
		{name: "P33 a loop ends", files: map[string]string{"r.txt": "-r s.txt\na==1", "s.txt": "-r r.txt\n-r s.txt\nb==1"}, want: "r.txt a s.txt b"},
		{name: "P33 each once", files: map[string]string{"r.txt": "-r s.txt\n-r t.txt", "s.txt": "-r t.txt", "t.txt": "c==1"}, want: "r.txt s.txt t.txt c"},
		{name: "P33 out of the repository", files: map[string]string{"r.txt": "-r ../../x"}, kind: fault.ValidationError, wantErr: "r.txt includes '../../x', which is outside of the repository"},
		{name: "P33 absolute", files: map[string]string{"r.txt": "-r /etc/passwd"}, kind: fault.ValidationError, wantErr: "r.txt includes '/etc/passwd', which is outside of the repository"},
		{name: "P33 a URL", files: map[string]string{"r.txt": "-r https://u:p@x.org/r.txt"}, kind: fault.ValidationError, wantErr: "r.txt includes https://x.org/r.txt: only files of the repository can be included"},
		{name: "P33 through a link", files: map[string]string{"r.txt": "-r l.txt", "l.txt": "-> /etc/passwd"}, kind: fault.InvalidRepoStructure, wantErr: invalid + "l.txt"},
		{name: "P33 missing", files: map[string]string{"d/r.txt": "-r x.txt", "r.txt": "-r d/r.txt"}, kind: fault.InvalidRepoStructure, wantErr: invalid + "d/x.txt"},
		{name: "a directory", files: map[string]string{"r.txt/x": ""}, kind: fault.InvalidRepoStructure, wantErr: invalid + "r.txt"},
		{name: "P54 missing", files: map[string]string{}, kind: fault.InvalidRepoStructure, wantErr: invalid + "r.txt"},
		{name: "no text", files: map[string]string{"r.txt": "a==1\xff"}, kind: fault.InvalidFileFormat, wantErr: "r.txt is not UTF-8 text"},
		{name: "too large", files: map[string]string{"r.txt": strings.Repeat("#\n", MaxRequirementsBytes/2+1)}, kind: fault.UnsupportedFeature, wantErr: "r.txt is larger than 8388608 bytes, the limit for a requirements file"},
		{name: "too many requirements", files: map[string]string{"r.txt": strings.Repeat("a==1\n", MaxRequirements+1)}, kind: fault.UnsupportedFeature, wantErr: "There are more than 20000 requirements or options in the requirements files"},
		{name: "too many options", files: map[string]string{"r.txt": strings.Repeat("--pre\n", MaxRequirements+1)}, kind: fault.UnsupportedFeature, wantErr: "There are more than 20000 requirements or options in the requirements files"},
		{name: "too many options of one requirement", files: map[string]string{"r.txt": "a==1" + strings.Repeat(" --hash=x:y", MaxLineOptions+1)}, kind: fault.UnsupportedFeature, wantErr: "There are more than 2000 options on one line of a requirements file"},
		{name: "hashes of an included file are required of all", files: map[string]string{"r.txt": "-r s.txt\na==1", "s.txt": "--require-hashes"}, kind: fault.ValidationError, wantErr: "Hash is required, dependency does not specify any: a==1"},
		{name: "constraints", files: map[string]string{"r.txt": "-c c.txt\na==1", "c.txt": "a<2\nb"}, want: "r.txt a"},
		{name: "constraints that contradict", files: map[string]string{"r.txt": "-c c.txt\na==1.0", "c.txt": "A==2"}, want: "r.txt a", wantLog: "contradicts"},
		{name: "constraints that agree", files: map[string]string{"r.txt": "-c c.txt\na==1.0", "c.txt": "A==1"}, want: "r.txt a"},
		{name: "constraints with a URL", files: map[string]string{"r.txt": "-c c.txt\na==1.0", "c.txt": "b @ https://x/b.zip"}, want: "r.txt a", wantLog: "not in the bundle"},
		{name: "constraints outside", files: map[string]string{"r.txt": "-c ../c.txt\na==1.0"}, want: "r.txt a", wantLog: "not usable"},
		{name: "constraints that cannot be read", files: map[string]string{"r.txt": "-c c.txt\na==1.0", "c.txt": "--spam"}, want: "r.txt a", wantLog: "'--spam'"},
		{name: "index of the request's own", files: map[string]string{"r.txt": "-i https://pypi.example/other\na==1"}, want: "r.txt a https://pypi.example/other/"},
		{name: "another index that is allowed", files: map[string]string{"r.txt": "--index-url=https://OTHER.example:8443/s/\na==1"}, want: "r.txt a https://OTHER.example:8443/s/"},
		{name: "an index that is not allowed", files: map[string]string{"r.txt": "-i https://evil.example/simple"}, kind: fault.ValidationError, wantErr: "The index https://evil.example/simple of r.txt is not allowed here; allowed are the hosts other.example:8443, pypi.example"},
		{name: "an index with a password", files: map[string]string{"r.txt": "-i https://u:p@pypi.example/simple"}, kind: fault.ValidationError, wantErr: "The --index-url of r.txt holds user info, which does not belong into a repository; credentials are configured on the server: https://pypi.example/simple"},
		{name: "an index that is a file", files: map[string]string{"r.txt": "-i file:///etc"}, kind: fault.ValidationError, wantErr: "The --index-url of r.txt must be an http or https URL with a host, got file:///etc"},
		{name: "an index with a query", files: map[string]string{"r.txt": "-i https://pypi.example/s?t=1"}, kind: fault.ValidationError, wantErr: "The --index-url of r.txt must have no query and no fragment, got https://pypi.example/s"},
		{name: "a trusted host", files: map[string]string{"r.txt": "--trusted-host h\na @ https://h:443/a.zip#cachito_hash=sha256:ab"}, want: "r.txt a", wantLog: "certificates are checked here nevertheless"},
		{name: "a trusted host that nothing is on", files: map[string]string{"r.txt": "--trusted-host h\na @ https://i/a.zip#cachito_hash=sha256:ab"}, want: "r.txt a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			f, err := newReader(t, tt.files, &log).read(t.Context(), "r.txt")
			var got []string
			if err == nil {
				err = checkAll(f.all(), false)
			}
			wantFault(t, err, fault.OriginClient, tt.kind, tt.wantErr)
			if tt.wantErr != "" {
				return
			}
			for _, one := range f.all() {
				got = append(got, one.path)
				for _, r := range one.requirements {
					got = append(got, r.pkg)
				}
				if one.indexURL != "" {
					got = append(got, one.indexURL)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.wantLog == "" && strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), tt.wantLog) {
				t.Errorf("log: got %s, want %q", log.String(), tt.wantLog)
			}
		})
	}
	t.Run("too many files", func(t *testing.T) {
		files := map[string]string{}
		for i := range MaxRequirementsFiles + 1 {
			files[fmt.Sprintf("%d.txt", i)] = fmt.Sprintf("-r %d.txt", i+1)
		}
		_, err := newReader(t, files, &bytes.Buffer{}).read(t.Context(), "0.txt")
		wantFault(t, err, fault.OriginClient, fault.UnsupportedFeature, "There are more than 1000 requirements files")
	})
}

// TestRewriting: P80 to P82, and what the spec says of each part of a line.
func TestRewriting(t *testing.T) {
	const u = "file://${CACHITO_PIP_DEPS}/external-b/b.zip"
	tests := []struct{ name, text, want string }{
		{"P80 hash", "b @ https://x/b.zip --hash=sha256:ab", "b @ " + u + " --hash=sha256:ab\n"},
		{"P81 query and fragment", "https://x/b.zip?q=1#egg=b&cachito_hash=sha256:ab", "b @ " + u + "#egg=b&cachito_hash=sha256:ab\n"},
		{"P82 options first, a line each", "foo==1\n--pre --trusted-host h\nb @ https://x/b.zip#cachito_hash=sha256:ab", "--pre\n--trusted-host h\nfoo==1\nb @ " + u + "#cachito_hash=sha256:ab\n"},
		{"extras and marker", `b[x,y] @ https://x/b.zip#cachito_hash=sha256:ab ; os_name == "a"`, `b[x,y] @ ` + u + `#cachito_hash=sha256:ab ; os_name == "a"` + "\n"},
		{"required hashes", "--require-hashes\nfoo==1 --hash=sha256:cd\nb @ https://x/b.zip#cachito_hash=sha256:ab", "--require-hashes\nfoo==1 --hash=sha256:cd\nb @ " + u + "#cachito_hash=sha256:ab --hash=sha256:ab\n"},
		{"comments, editable, index", "# c\n-i https://i.example/s\n-r a.txt -c b.txt\n-e https://x/b.zip#egg=b&cachito_hash=sha256:ab&subdirectory=a%20%26b # c", "-r a.txt\n-c b.txt\nb @ " + u + "#egg=b&cachito_hash=sha256:ab&subdirectory=a%20%26b\n"},
		{"options of pip", `foo==1 --global-option="--x y"`, "foo==1 --global-option=\"--x y\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parseRequirements("r.txt", tt.text)
			must(t, err)
			places := map[*requirement]string{}
			for _, r := range f.requirements {
				if r.kind != fromIndex {
					places[r] = "pip/external-b/b.zip"
				}
			}
			got := string(f.rewritten(places, f.requireHashes))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again, err := parseRequirements("r.txt", strings.ReplaceAll(got, "file://${CACHITO_PIP_DEPS}", "https://x.example"))
			if err != nil || len(again.requirements) != len(f.requirements) {
				t.Errorf("what is written cannot be read: %v", err)
			}
		})
	}
}

// TestPlaces: P51, P71, P72, P74.
func TestPlaces(t *testing.T) {
	f, err := parseRequirements("r.txt", strings.Join([]string{
		"https://x.org/a.zip#cachito_hash=sha256:AB&egg=My_Pkg.x",
		"git+https://github.com/quay/appr.git@" + aCommit + "#egg=appr",
		"appr @ https://github.com/quay/appr/archive/37ff.zip --hash=sha256:ee6a",
		"git+https://u:p@gitlab.com:8443/a/b/c.git@" + aCommit + "#egg=c",
	}, "\n"))
	must(t, err)
	want := []string{
		"pip/external-My-Pkg.x/My-Pkg.x-external-sha256-ab.zip",
		"pip/github.com/quay/appr/appr-external-gitcommit-" + aCommit + ".tar.gz",
		"pip/external-appr/appr-external-sha256-ee6a.zip",
		"pip/gitlab.com:8443/a/b/c/c-external-gitcommit-" + aCommit + ".tar.gz",
	}
	wantVersions := []string{
		"https://x.org/a.zip#cachito_hash=sha256:AB&egg=My_Pkg.x",
		"git+https://github.com/quay/appr.git@" + aCommit,
		"https://github.com/quay/appr/archive/37ff.zip#cachito_hash=sha256:ee6a",
		"git+https://gitlab.com:8443/a/b/c.git@" + aCommit,
	}
	for i, r := range f.requirements {
		must(t, r.check(false))
		got := ""
		if r.kind == fromGit {
			got = gitPath(r.git)
		} else {
			got = urlPath(r, append(r.hashes, r.cachitoHashes()...)[0])
		}
		if got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
		if v := r.reportedVersion(); v != wantVersions[i] {
			t.Errorf("version: got %s, want %s", v, wantVersions[i])
		}
	}
}

func TestReportedVersionOfURLWithEgg(t *testing.T) { // P73
	f, err := parseRequirements("r.txt", "https://u:p@github.com/quay/appr/archive/37ff.zip#egg=appr --hash=sha256:ee6a")
	must(t, err)
	if got, want := f.requirements[0].reportedVersion(), "https://github.com/quay/appr/archive/37ff.zip#egg=appr&cachito_hash=sha256:ee6a"; got != want {
		t.Errorf("P73: got %s, want %s", got, want)
	}
}

func TestWithoutUserInfo(t *testing.T) {
	for text, want := range map[string]string{
		"a @ https://u:p@h/x@y":          "a @ https://h/x@y",
		"git+https://u@p@h:1/x.git@ref":  "git+https://h:1/x.git@ref",
		"https://h?x=a@b#egg=c@d":        "https://h?x=a@b#egg=c@d",
		"https://h#x@y":                  "https://h#x@y",
		"https://h/x ; os_name == '//@'": "https://h/x ; os_name == '//'",
	} {
		if got := withoutUserInfo(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestTrusted: P79. Whether --trusted-host covers a URL.
func TestTrusted(t *testing.T) {
	for _, tt := range []struct {
		hosts string
		host  string
		want  bool
	}{{"", "example.org", false}, {"example.org", "example.org", true}, {"example.org:443", "example.org:443", true}, {"example.org", "example.org:443", true}, {"example.org:444", "example.org:443", false}} {
		if got := trusted(strings.Fields(tt.hosts), &url.URL{Host: tt.host}); got != tt.want {
			t.Errorf("P79 %q, %s: got %v, want %v", tt.hosts, tt.host, got, tt.want)
		}
	}
}

// FuzzRequirements: what is read can be written, and read again as the same.
func FuzzRequirements(f *testing.F) {
	f.Add("a==1 \\\n --hash=sha256:ab # c\n-r x\n--index-url=https://x")
	f.Add("https://x.org/a.zip?q#egg=a[b]&subdirectory=a%20b ; os_name == 'x'\n-e git+https://u:p@h:1/a/b.git@" + aCommit)
	f.Add("a==1\\\n --hash=sha256:ab\\ ")
	f.Add("\ufeffa [x] == 1 ; extra == 'a:b' --global-option=\"a b\"\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := parseRequirements("r.txt", text)
		if err != nil || first.hasOption("--index-url") {
			return
		}
		for _, r := range first.requirements {
			if r.kind == fromGit && r.check(false) == nil && strings.Contains(r.git.folder, "..") && strings.Contains("/"+r.git.folder+"/", "/../") {
				t.Errorf("%q goes up: %s", r.line, r.git.folder)
			}
		}
		written := first.rewritten(nil, false)
		second, err := parseRequirements("r.txt", string(written))
		if err != nil {
			t.Fatalf("%q: written as %q: %v", text, written, err)
		}
		if again := second.rewritten(nil, false); !bytes.Equal(written, again) {
			t.Errorf("%q: written as %q, then as %q", text, written, again)
		}
	})
}
