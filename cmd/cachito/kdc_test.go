package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// requireTools set means that a missing tool is a failure and no reason to skip.
const requireTools = "CACHITO_REQUIRE_TOOLS"

// kdcTools are MIT Kerberos' programs, where Debian has them: krb5-kdc, krb5-admin-server and krb5-user.
var kdcTools = []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit", "kvno"}

const (
	homeRealm    = "CACHITO.TEST"
	partnerRealm = "PARTNER.TEST" // trusted by homeRealm
	password     = "secret"
)

// kdc is a real KDC of two realms that trust each other, on a port of its own.
type kdc struct {
	t    *testing.T
	dir  string
	path map[string]string // of kdcTools
}

// newKDC makes the realms and serves them until the test ends.
func newKDC(t *testing.T) *kdc {
	t.Helper()
	k := &kdc{t: t, dir: t.TempDir(), path: map[string]string{}}
	for _, tool := range kdcTools {
		path, err := exec.LookPath(tool)
		if err != nil {
			path, err = exec.LookPath("/usr/sbin/" + tool) // not on everybody's PATH
		}
		if err != nil {
			missing(t, tool+" (Debian: krb5-kdc krb5-admin-server krb5-user)")
		}
		k.path[tool] = path
	}
	conf := "[realms]\n"
	for _, realm := range []string{homeRealm, partnerRealm} {
		conf += fmt.Sprintf("  %[1]s = {\n    database_name = %[2]s/%[1]s.db\n    key_stash_file = %[2]s/%[1]s.stash\n    max_life = 10h\n  }\n", realm, k.dir)
	}
	k.write("krb5.conf", "[libdefaults]\n  default_realm = "+homeRealm+"\n")
	k.write("kdc.conf", conf)
	for _, realm := range []string{homeRealm, partnerRealm} {
		k.run("", "kdb5_util", "create", "-r", realm, "-s", "-P", "master")
		// The key that the realms share: users of the partner may come to services here.
		k.add(realm, "krbtgt/"+homeRealm+"@"+partnerRealm, "-pw", "shared")
	}
	for range 5 { // somebody else may take the port that was free
		port := freePort(t)
		k.write("kdc.conf", fmt.Sprintf("[kdcdefaults]\n  kdc_listen = 127.0.0.1:%[1]d\n  kdc_tcp_listen = 127.0.0.1:%[1]d\n%s", port, conf))
		k.write("krb5.conf", fmt.Sprintf(clientConf, homeRealm, partnerRealm, port))
		if k.start(port) {
			return k
		}
	}
	t.Fatal("the KDC does not start")
	return nil
}

// clientConf is what clients know: where the KDCs are, and that names are as they stand.
const clientConf = `[libdefaults]
  default_realm = %[1]s
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  %[1]s = {
    kdc = 127.0.0.1:%[3]d
  }
  %[2]s = {
    kdc = 127.0.0.1:%[3]d
  }
[domain_realm]
  localhost = %[1]s
`

// start serves both realms until the test ends, and reports whether it does.
func (k *kdc) start(port int) bool {
	k.t.Helper()
	serve := exec.Command(k.path["krb5kdc"], "-n", "-r", homeRealm, "-r", partnerRealm)
	serve.Env = k.env("")
	var said bytes.Buffer
	serve.Stdout, serve.Stderr = &said, &said
	if err := serve.Start(); err != nil {
		k.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = serve.Wait() // by a signal, or because the port is taken
		close(ended)
	}()
	k.t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM) // it is gone if this fails
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case <-ended:
			k.t.Logf("the KDC ended: %s", said.String())
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			return true
		}
	}
	return false
}

// missing ends the test: with a failure where everything must be tested, else saying what it did not do.
func missing(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv(requireTools) != "" {
		t.Fatalf("%s is not installed", tool)
	}
	t.Skipf("not tested: %s is not installed", tool)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (k *kdc) file(name string) string { return filepath.Join(k.dir, name) }

func (k *kdc) write(name, content string) {
	k.t.Helper()
	if err := os.WriteFile(k.file(name), []byte(content), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// env is the environment of programs that act for user, who has a credential cache of its own.
func (k *kdc) env(user string) []string {
	return append(os.Environ(), "KRB5_CONFIG="+k.file("krb5.conf"), "KRB5_KDC_PROFILE="+k.file("kdc.conf"), "KRB5_TRACE=",
		"KRB5CCNAME=FILE:"+k.file("cache-"+strings.ReplaceAll(user, "/", "-")), "no_proxy=*", "NO_PROXY=*")
}

// run runs a tool of MIT Kerberos, which must succeed.
func (k *kdc) run(user, tool string, args ...string) {
	k.t.Helper()
	cmd := exec.Command(k.path[tool], args...)
	cmd.Env = k.env(user)
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
}

// add makes a principal, "-pw PASSWORD" or "-randkey".
func (k *kdc) add(realm, principal string, options ...string) {
	k.t.Helper()
	k.run("", "kadmin.local", append(append([]string{"-r", realm, "addprinc"}, options...), principal)...)
}

// export writes the keys of services into a keytab file and gives its path.
func (k *kdc) export(name string, principals ...string) string {
	k.t.Helper()
	k.run("", "kadmin.local", append([]string{"-r", homeRealm, "ktadd", "-k", k.file(name), "-norandkey"}, principals...)...)
	return k.file(name)
}

// login gets user its first ticket.
func (k *kdc) login(user string) {
	k.t.Helper()
	k.run(user, "kinit", user)
}
