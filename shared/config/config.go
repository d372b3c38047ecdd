// Package config turns the environment into one typed, checked struct. Every setting of the program,
// its default and its meaning stand in one table (settings*.go); nothing else in shared/ reads the
// environment, and no other package knows a public registry's host, but for what lockfiles of cargo call crates.io.
//
// It knows nothing of package managers beyond their names in the defaults, and opens no file: paths
// are checked by whoever uses them.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Download modes of CACHITO_DOWNLOAD.
const (
	DownloadAuto     = "auto"
	DownloadRedirect = "redirect"
	DownloadStream   = "stream"
)

// Log formats of CACHITO_LOG_FORMAT.
const (
	LogAuto = "auto"
	LogJSON = "json"
	LogText = "text"
)

// MetricsOff as CACHITO_METRICS_NAMESPACE switches metrics on CloudWatch off.
const MetricsOff = "off"

// Config is everything that can be set. The zero value is not usable: Load fills in the defaults.
type Config struct {
	// PackageManagers that requests may name, as resolver.Enabled reads them.
	PackageManagers []string
	// DefaultPackageManagers stand in when a request names none. Never empty.
	DefaultPackageManagers []string
	// DefaultEnvironment are variables that are added to what builds get, by package manager.
	DefaultEnvironment map[string]map[string]Variable
	// MutuallyExclusive are pairs that cannot work on one path.
	MutuallyExclusive [][2]string
	MaxPerPage        int
	// LogsEnabled: requests have a log of their own that clients can read.
	LogsEnabled         bool
	UserRepresentatives []string
	WorkerUsernames     []string
	// LoginDisabled is settled: "auto" was decided from Listen and KnowsUsers.
	LoginDisabled  bool
	TrustUser      bool
	IdentityHeader string
	// TrustedProxies may set IdentityHeader and X-Forwarded-*; nil: everybody may.
	TrustedProxies  []netip.Prefix
	TLSCert         string // file, PEM
	TLSKey          string // file, PEM
	TLSClientCA     string // file, PEM
	KerberosKeytab  string // file
	KerberosService string
	KerberosRealms  []string
	KerberosMaxSkew time.Duration
	// GatewayClaim is the claim of a JWT that names the user.
	GatewayClaim   string
	PublicURL      string
	TrustForwarded bool
	Download       string
	// LargeAnswers is how many answers that need much memory are made at once.
	LargeAnswers int

	Lifetime       time.Duration // of complete and in_progress requests
	LifetimeFailed time.Duration

	DataDir string
	Listen  string
	Workers int
	// CacheMaxBytes is what the storage may hold; 0: no limit.
	CacheMaxBytes int64
	// CacheGrace is how long after its last use an object stays there at least.
	CacheGrace time.Duration
	// ResendAfter is how much older than its queue's oldest message a lost step must be to be sent again.
	ResendAfter time.Duration
	// ToolDir keeps Go toolchains; empty: "toolchains" in the data folder.
	ToolDir string

	// What functions on AWS use.
	Table       string // of DynamoDB
	Bucket      string // of S3
	QueuePrefix string // of names on SQS, without the "-"
	// S3PublicEndpoint is S3's endpoint in presigned URLs; empty: the one that is used.
	S3PublicEndpoint string

	Mirrors      []Mirror
	Netrc        string // file
	BearerTokens string // file
	AllowHosts   []string
	CACert       string // file, PEM
	// MaxDownloads and MaxDownloadsPerHost bound the HTTP requests that run at a time.
	MaxDownloads        int
	MaxDownloadsPerHost int
	HTTPSProxy          string
	HTTPProxy           string
	NoProxy             string
	SSHKey              string // file
	KnownHosts          string // file
	// TagsRefresh fetches a source's tags anew instead of keeping the first fetch's.
	TagsRefresh bool
	// Limits of one repository.
	SourceMaxBytes     int64
	SourceMaxTreeBytes int64
	SourceMaxEntries   int
	SourceTimeout      time.Duration

	// Managers are the settings of each package manager, by its name and then by the name under which
	// its resolver reads them.
	Managers map[string]map[string]string

	LogLevel  slog.Level
	LogFormat string

	// MetricsListen is where the embedded service tells Prometheus; empty: nowhere.
	MetricsListen string
	// MetricsNamespace is that of a function's metrics on CloudWatch; MetricsOff: they are not written.
	MetricsNamespace string
	// MetricsHosts are counted by name; all others together.
	MetricsHosts []string
	// TracesEndpoint is the URL of a collector; empty: no traces are made.
	TracesEndpoint string
	TracesHeaders  map[string]string
	// TracesRatio is the part of all traces that is made, 0 to 1.
	TracesRatio float64
	ServiceName string
}

// manager keeps a setting for one package manager's resolver.
func (c *Config) manager(name, key, value string) {
	if c.Managers == nil {
		c.Managers = map[string]map[string]string{}
	}
	if c.Managers[name] == nil {
		c.Managers[name] = map[string]string{}
	}
	c.Managers[name][key] = value
}

// KnowsUsers reports whether the embedded service has a way to tell who calls.
func (c *Config) KnowsUsers() bool {
	return c.IdentityHeader != "" || c.KerberosKeytab != "" || c.TLSClientCA != ""
}

// Files are the settings that name a file, by their names: where to change each. On AWS they may name a secret
// instead, whose content becomes the file.
func (c *Config) Files() map[string]*string {
	return map[string]*string{
		"CACHITO_KERBEROS_KEYTAB": &c.KerberosKeytab,
		"CACHITO_NETRC":           &c.Netrc,
		"CACHITO_BEARER_TOKENS":   &c.BearerTokens,
		"CACHITO_CA_CERT":         &c.CACert,
		"CACHITO_SSH_KEY":         &c.SSHKey,
		"CACHITO_KNOWN_HOSTS":     &c.KnownHosts,
	}
}

// Mirror sends every URL that begins with Prefix to Target instead. Of several that fit the longest
// prefix counts, as in git's url.<base>.insteadOf.
type Mirror struct{ Prefix, Target string }

// Error is a setting with a value that cannot be used.
type Error struct {
	Setting string
	Got     string
	Want    string
	// Message replaces the usual sentence where upstream has words of its own.
	Message string
}

func (e *Error) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("%s: want %s, got %q", e.Setting, e.Want, e.Got)
}

// Load reads every setting through getenv (os.Getenv in production); an empty value counts as not
// set. It reports all wrong settings at once: the error joins one *Error for each.
func Load(getenv func(string) string) (Config, error) {
	var c Config
	var wrong []error
	for _, s := range settings {
		value := getenv(s.name)
		if value == "" {
			value = s.fallback
		}
		if err := s.set(&c, value); err != nil {
			var e *Error
			if !errors.As(err, &e) {
				e = &Error{Want: err.Error(), Got: value}
			}
			e.Setting = s.name
			wrong = append(wrong, e)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Variable is an environment variable of builds: kind "path" (relative to the bundle) or "literal".
type Variable struct {
	Value string `json:"value"`
	Kind  string `json:"kind"`
}
