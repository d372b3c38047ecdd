package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/cachito-serverless/cachito/shared/config"
)

// maxPEMBytes is the largest file of certificates that is read: every root of the web has some 230 kB.
const maxPEMBytes = 4 << 20

// warnOfLogins tells an operator what lets callers be whom they like.
func warnOfLogins(ctx context.Context, log *slog.Logger, cfg config.Config) {
	if cfg.IdentityHeader != "" && len(cfg.TrustedProxies) == 0 && !cfg.OnLoopback() {
		log.WarnContext(ctx, "whoever reaches the service can call itself anybody: set CACHITO_TRUSTED_PROXIES", "identity_header", cfg.IdentityHeader)
	}
	for setting, path := range map[string]string{"CACHITO_KERBEROS_KEYTAB": cfg.KerberosKeytab, "CACHITO_TLS_KEY": cfg.TLSKey} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
			log.WarnContext(ctx, "a file of keys can be read by every user of this machine", "setting", setting, "path", path)
		}
	}
}

// newTLS makes what https needs; nil: the service speaks http. Client certificates are asked for but not
// demanded, because reading is open to everyone; one that is sent and not vouched for ends the connection.
func newTLS(cfg config.Config) (*tls.Config, error) {
	if cfg.TLSCert == "" && cfg.TLSKey == "" && cfg.TLSClientCA == "" {
		return nil, nil
	}
	if cfg.TLSCert == "" || cfg.TLSKey == "" {
		return nil, usagef("https needs both CACHITO_TLS_CERT and CACHITO_TLS_KEY, and CACHITO_TLS_CLIENT_CA needs https")
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return nil, usagef("CACHITO_TLS_CERT, CACHITO_TLS_KEY: %v", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if cfg.TLSClientCA != "" {
		c.ClientAuth = tls.VerifyClientCertIfGiven
		if c.ClientCAs, err = loadRoots(cfg.TLSClientCA); err != nil {
			return nil, usagef("CACHITO_TLS_CLIENT_CA: %v", err)
		}
	}
	return c, nil
}

func loadRoots(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPEMBytes+1))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if len(content) > maxPEMBytes || !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificates in PEM form, or more than %d bytes", path, maxPEMBytes)
	}
	return pool, nil
}
