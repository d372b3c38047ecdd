package gitrepo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// listen serves each connection with serve until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// uploadPack runs git upload-pack for a repository below root.
func uploadPack(gitPath, root, dir string, in io.Reader, out io.Writer) {
	cmd := exec.Command(gitPath, "-c", "uploadpack.allowAnySHA1InWant=true", "-c", "uploadpack.allowFilter=true", "-c", "safe.directory=*",
		"upload-pack", filepath.Join(root, filepath.Clean("/"+dir)))
	cmd.Stdout = out
	stdin, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	go func() {
		io.Copy(stdin, in)
		stdin.Close()
	}()
	cmd.Wait()
}

func streamClient(t *testing.T, host string, s Settings) *Client {
	t.Helper()
	f, err := fetch.New(fetch.Settings{AllowHosts: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	s.Fetch, s.CacheDir = f, t.TempDir()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// history makes a repository whose tags need a second fetch, on a second connection.
func history(t *testing.T) (root, ref string) {
	t.Helper()
	root = t.TempDir()
	repo := gitrepotest.Init(filepath.Join(root, "o/app.git"))
	repo.AnnotatedTag("v1.0.0", repo.Commit(map[string]string{"a": "1"}))
	return root, repo.Commit(map[string]string{"a": "2"})
}

func TestGitProtocol(t *testing.T) {
	root, ref := history(t)
	path := gitPath(t)
	host := listen(t, func(conn net.Conn) {
		head := make([]byte, 4)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		n, err := pktLength(head)
		if err != nil {
			return
		}
		line := make([]byte, n-4)
		if _, err := io.ReadFull(conn, line); err != nil {
			return
		}
		dir, _, _ := strings.Cut(strings.TrimPrefix(string(line), "git-upload-pack "), "\x00")
		uploadPack(path, root, dir, conn, conn)
	})
	c := streamClient(t, host, Settings{})
	got, info := mustFetch(t, c, Request{URL: "git://" + host + "/o/app.git", Ref: ref, Tags: true})
	if got["a"] != "644 2" {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff([]resolver.Tag{{Name: "v1.0.0"}}, info.Tags); diff != "" {
		t.Error(diff)
	}
	_, err := c.Fetch(t.Context(), Request{URL: "git://" + host + "/o/none.git", Ref: ref}, newMemory(t))
	wantFault(t, err, fault.OriginServer, fault.RepositoryAccessError, "Failed cloning the Git repository")
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func TestSSH(t *testing.T) {
	root, ref := history(t)
	path := gitPath(t)
	hostKey, _ := newKey(t)
	user, userPEM := newKey(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if meta.User() != "git" || !bytes.Equal(key.Marshal(), user.PublicKey().Marshal()) {
			return nil, fmt.Errorf("not you")
		}
		return nil, nil
	}}
	config.AddHostKey(hostKey)
	host := listen(t, func(conn net.Conn) {
		server, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		defer server.Close()
		go ssh.DiscardRequests(requests)
		for nc := range channels {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			go func() {
				defer ch.Close()
				for r := range reqs {
					var cmd struct{ Text string }
					if r.Type != "exec" || ssh.Unmarshal(r.Payload, &cmd) != nil {
						r.Reply(false, nil)
						continue
					}
					r.Reply(true, nil)
					dir := strings.Trim(strings.TrimPrefix(cmd.Text, "git-upload-pack "), "'")
					uploadPack(path, root, dir, ch, ch)
					return
				}
			}()
		}
	})
	dir := t.TempDir()
	keyFile, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	name, port, _ := net.SplitHostPort(host)
	line := fmt.Sprintf("[%s]:%s %s", name, port, ssh.MarshalAuthorizedKey(hostKey.PublicKey()))
	for file, text := range map[string]string{keyFile: string(userPEM), known: line} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := "ssh://git@" + host + "/o/app.git"
	t.Run("fetch", func(t *testing.T) {
		got, info := mustFetch(t, streamClient(t, host, Settings{SSHKeyFile: keyFile, KnownHostsFile: known}), Request{URL: url, Ref: ref, Tags: true})
		if got["a"] != "644 2" || len(info.Tags) != 1 {
			t.Errorf("got %v, %v", got, info.Tags)
		}
	})
	t.Run("unknown host key", func(t *testing.T) {
		empty := filepath.Join(dir, "empty")
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := streamClient(t, host, Settings{SSHKeyFile: keyFile, KnownHostsFile: empty}).Fetch(t.Context(), Request{URL: url, Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "is not known to this service")
	})
	t.Run("changed host key", func(t *testing.T) {
		other, _ := newKey(t)
		changed := filepath.Join(dir, "changed")
		if err := os.WriteFile(changed, fmt.Appendf(nil, "[%s]:%s %s", name, port, ssh.MarshalAuthorizedKey(other.PublicKey())), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := streamClient(t, host, Settings{SSHKeyFile: keyFile, KnownHostsFile: changed}).Fetch(t.Context(), Request{URL: url, Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "is not the one this service knows")
	})
	t.Run("wrong user", func(t *testing.T) {
		_, err := streamClient(t, host, Settings{SSHKeyFile: keyFile, KnownHostsFile: known}).Fetch(t.Context(), Request{URL: strings.Replace(url, "git@", "me@", 1), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "Failed cloning the Git repository")
	})
	t.Run("loopback that nobody allowed", func(t *testing.T) {
		_, err := streamClient(t, "other.example", Settings{SSHKeyFile: keyFile, KnownHostsFile: known}).Fetch(t.Context(), Request{URL: url, Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "loopback")
	})
}
