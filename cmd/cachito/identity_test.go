package main

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/config"
)

// TestTLSRefused: a file that cannot be used stops the start with the setting's name.
func TestTLSRefused(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := savePair(t, a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "service"}}))
	_, otherKey := savePair(t, a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "other"}}))
	text, large := filepath.Join(t.TempDir(), "text"), filepath.Join(t.TempDir(), "large")
	for file, content := range map[string][]byte{text: []byte("no certificate\n"), large: make([]byte, maxPEMBytes+1)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, cert, key, roots, want string }{
		{"no key", cert, "", "", "https needs both CACHITO_TLS_CERT and CACHITO_TLS_KEY"},
		{"no certificate", "", key, "", "https needs both CACHITO_TLS_CERT and CACHITO_TLS_KEY"},
		{"only roots", "", "", a.file, "CACHITO_TLS_CLIENT_CA needs https"},
		{"another key", cert, otherKey, "", "CACHITO_TLS_CERT, CACHITO_TLS_KEY: tls: private key does not match public key"},
		{"a missing file", text + "x", key, "", "CACHITO_TLS_CERT, CACHITO_TLS_KEY: open " + text + "x: no such file"},
		{"no roots in the file", cert, key, text, "CACHITO_TLS_CLIENT_CA: " + text + " holds no certificates"},
		{"a large file of roots", cert, key, large, "CACHITO_TLS_CLIENT_CA: " + large + " holds no certificates in PEM form, or more than"},
		{"a missing file of roots", cert, key, text + "x", "CACHITO_TLS_CLIENT_CA: open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newTLS(config.Config{TLSCert: tt.cert, TLSKey: tt.key, TLSClientCA: tt.roots})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestWarnOfLogins: what is open, and only that, is told.
func TestWarnOfLogins(t *testing.T) {
	open, closed := filepath.Join(t.TempDir(), "open"), filepath.Join(t.TempDir(), "closed")
	for file, mode := range map[string]os.FileMode{open: 0o644, closed: 0o640} {
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	tests := []struct {
		name string
		cfg  config.Config
		want string // in the log; "": nothing is logged
	}{
		{"nothing", config.Config{Listen: ":80"}, ""},
		{"a header from anybody", config.Config{Listen: ":80", IdentityHeader: "X-User"}, "CACHITO_TRUSTED_PROXIES"},
		{"a header from a proxy", config.Config{Listen: ":80", IdentityHeader: "X-User", TrustedProxies: proxies}, ""},
		{"a header on loopback", config.Config{Listen: "127.0.0.1:80", IdentityHeader: "X-User"}, ""},
		{"an open keytab", config.Config{Listen: ":80", KerberosKeytab: open}, "CACHITO_KERBEROS_KEYTAB"},
		{"an open key", config.Config{Listen: ":80", TLSKey: open}, "CACHITO_TLS_KEY"},
		{"closed ones", config.Config{Listen: ":80", KerberosKeytab: closed, TLSKey: closed}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			warnOfLogins(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), tt.cfg)
			if got := log.String(); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("log %q, want %q in it", got, tt.want)
			}
		})
	}
}
