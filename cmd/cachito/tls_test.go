package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	pair := a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.key, a.cert = pair.PrivateKey.(*ecdsa.PrivateKey), pair.Leaf
	a.file, _ = savePair(t, pair)
	return a
}

// issue signs a certificate for a key of its own; the first one signs itself.
func (a *authority) issue(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore = big.NewInt(1), time.Now().Add(-time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) client(t *testing.T, subject pkix.Name, until time.Time) tls.Certificate {
	t.Helper()
	return a.issue(t, &x509.Certificate{Subject: subject, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// savePair writes a certificate and its key as PEM.
func savePair(t *testing.T, pair tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// TestClientCertificates: the service speaks https itself, and knows callers by their certificates.
func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	certFile, keyFile := savePair(t, ours.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "service"}, DNSNames: []string{"localhost"}}))
	s := serve(t, append(os.Environ(), "CACHITO_TLS_CERT="+certFile, "CACHITO_TLS_KEY="+keyFile, "CACHITO_TLS_CLIENT_CA="+ours.file,
		`CACHITO_WORKER_USERNAMES=["CN=worker,OU=serviceusers,O=Acme"]`))
	s.url = strings.Replace(s.url, "http://", "https://", 1)
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)

	worker := pkix.Name{CommonName: "worker", OrganizationalUnit: []string{"serviceusers"}, Organization: []string{"Acme"}}
	later := time.Now().Add(time.Hour)
	tests := []struct {
		name         string
		cert         *tls.Certificate
		method, path string
		want         answer
	}{
		{"anonymous", nil, "POST", "/requests", answer{401, "", unauthorizedText}},
		{"a certificate", at(ours.client(t, pkix.Name{CommonName: "tbrady"}, later)), "POST", "/requests", answer{201, "CN=tbrady", ""}},
		{"anonymous reading", nil, "GET", "/requests/1", answer{200, "CN=tbrady", ""}},
		{"a worker", at(ours.client(t, worker, later)), "PATCH", "/requests/1", answer{200, "", ""}},
		{"no worker", at(ours.client(t, pkix.Name{CommonName: "tbrady"}, later)), "PATCH", "/requests/1", answer{403, "", "This API endpoint is restricted to Cachito workers"}},
		{"somebody else's authority", at(others.client(t, worker, later)), "PATCH", "/requests/1", answer{}},
		{"an expired certificate", at(ours.client(t, worker, time.Now().Add(-time.Minute))), "PATCH", "/requests/1", answer{}},
		{"a server's certificate", at(ours.issue(t, &x509.Certificate{Subject: worker, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})), "PATCH", "/requests/1", answer{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &tls.Config{RootCAs: roots}
			if tt.cert != nil {
				// Sent whatever the service says it would accept.
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.cert, nil }
			}
			body := orderFor("")
			if tt.method == "PATCH" {
				body = `{"packages_count": 1}`
			}
			req, err := http.NewRequest(tt.method, s.url+"/api/v1"+tt.path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			resp, err := transport.RoundTrip(req)
			if tt.want.status == 0 {
				if err == nil {
					resp.Body.Close()
					t.Errorf("answered with %d, want no connection", resp.StatusCode)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, s.log())
			}
			defer resp.Body.Close()
			content, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAnswer(t, resp.StatusCode, content); got != tt.want {
				t.Errorf("got %+v, want %+v\n%s", got, tt.want, s.log())
			}
		})
	}
	resp, err := http.Get(strings.Replace(s.url, "https://", "http://", 1) + "/healthcheck")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("http is answered with %d, want 400", resp.StatusCode)
	}
}

func at[T any](v T) *T { return &v }
