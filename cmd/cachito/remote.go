package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
)

// remote are the flags of every command that talks to a service.
type remote struct {
	API    string   `name:"api" env:"CACHITO_API" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The service (env CACHITO_API)."`
	Header []string `name:"header" env:"CACHITO_API_HEADER" sep:"none" placeholder:"NAME:VALUE" help:"Send this header too, for example 'Authorization: Bearer ...' (env CACHITO_API_HEADER)."`
	CACert string   `name:"cacert" type:"path" placeholder:"FILE" help:"Trust these certificates (PEM) as well."`
	Cert   string   `name:"cert" type:"path" placeholder:"FILE" help:"Client certificate (PEM)."`
	Key    string   `name:"key" type:"path" placeholder:"FILE" help:"Client certificate's key (PEM)."`
}

// connectTimeout bounds everything up to the answer's header; a download may then take its time.
const connectTimeout = 60 * time.Second

func (r remote) client() (*client.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = dialService
	transport.ResponseHeaderTimeout = connectTimeout
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CACert != "" {
		pem, err := os.ReadFile(r.CACert)
		if err != nil {
			return nil, usagef("--cacert: %v", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, usagef("--cacert: %s holds no PEM certificate", r.CACert)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	if (r.Cert == "") != (r.Key == "") {
		return nil, usagef("--cert and --key belong together")
	}
	if r.Cert != "" {
		pair, err := tls.LoadX509KeyPair(r.Cert, r.Key)
		if err != nil {
			return nil, usagef("--cert, --key: %v", err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	headers := http.Header{}
	for _, h := range r.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usagef("--header: want 'Name: value'")
		}
		headers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	c, err := client.New(r.API, &http.Client{Transport: &headerTransport{transport, headers, r.API}})
	if err != nil {
		return nil, usagef("--api: %v", err)
	}
	return c, nil
}

// dialService connects to names below "localhost" on this machine, as RFC 6761 (6.3) wants and browsers and curl do: emulators
// of AWS have such a name for each API, of which the machine's resolver need not know.
func dialService(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(strings.ToLower(host), ".localhost") {
		address = net.JoinHostPort("localhost", port)
	}
	dialer := net.Dialer{Timeout: connectTimeout}
	return dialer.DialContext(ctx, network, address)
}

// headerTransport adds headers to calls of the service itself; where a redirect leads elsewhere
// (object storage) they are none of that host's business.
type headerTransport struct {
	next    http.RoundTripper
	headers http.Header
	api     string
}

func (t *headerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(t.headers) > 0 && strings.HasPrefix(t.api+"/", r.URL.Scheme+"://"+r.URL.Host+"/") {
		r = r.Clone(r.Context())
		for name, values := range t.headers {
			r.Header[name] = values
		}
	}
	return t.next.RoundTrip(r)
}
