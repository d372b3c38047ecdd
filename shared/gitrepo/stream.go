package gitrepo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const (
	// streamIdle is how long an ssh or git server may be silent.
	streamIdle = 2 * time.Minute
	// maxKeyBytes bounds the private key's file.
	maxKeyBytes = 1 << 20
)

// streamSession speaks upload-pack over one connection, which serves one fetch: another one opens a
// new connection.
type streamSession struct {
	open func(ctx context.Context) (*stream, error)
	now  *stream
	ar   *packp.AdvRefs
}

// stream is a connection whose other end is git upload-pack.
type stream struct {
	io.Reader
	io.Writer
	end func()
}

func (s *streamSession) refs() *packp.AdvRefs { return s.ar }

func (s *streamSession) close() {
	if s.now != nil {
		io.WriteString(s.now, "0000") // polite: nothing wanted
		s.now.end()
		s.now = nil
	}
}

func (s *streamSession) connect(ctx context.Context) error {
	st, err := s.open(ctx)
	if err != nil {
		return err
	}
	// Unbuffered but for this reader, which the answer to the fetch must go on with: AdvRefs reads
	// to its flush line and no further, because pktline reads what it needs.
	ar := packp.NewAdvRefs()
	err = ar.Decode(io.LimitReader(st, MaxRefsBytes))
	if err != nil && !errors.Is(err, packp.ErrEmptyAdvRefs) {
		st.end()
		return fmt.Errorf("reading the list of refs: %w", err)
	}
	s.now, s.ar = st, ar
	return nil
}

func (s *streamSession) fetch(ctx context.Context, want packRequest) (io.ReadCloser, error) {
	if s.now == nil {
		if err := s.connect(ctx); err != nil {
			return nil, err
		}
	}
	body, err := want.encode(s.ar.Capabilities)
	if err != nil {
		return nil, err
	}
	st := s.now
	s.now = nil
	rc := &streamBody{st}
	if _, err := st.Write(body); err != nil {
		rc.Close()
		return nil, fmt.Errorf("asking for the pack: %w", err)
	}
	p, err := openPack(rc, want.depth)
	if err != nil {
		rc.Close()
		return nil, err
	}
	return p, nil
}

type streamBody struct{ *stream }

func (b *streamBody) Close() error {
	b.end()
	return nil
}

// idleConn gives up when its other end is silent for too long.
type idleConn struct{ net.Conn }

func (c idleConn) Read(p []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(streamIdle))
	return c.Conn.Read(p)
}

func (c idleConn) Write(p []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(streamIdle))
	return c.Conn.Write(p)
}

func (c *Client) dial(ctx context.Context, u *url.URL, port string) (net.Conn, error) {
	if p := u.Port(); p != "" {
		port = p
	}
	conn, err := c.settings.Fetch.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	return idleConn{conn}, nil
}

// openGit speaks git:// (git daemon).
func (c *Client) openGit(ctx context.Context, u remoteURL) (session, error) {
	s := &streamSession{open: func(ctx context.Context) (*stream, error) {
		conn, err := c.dial(ctx, u.URL, "9418")
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		end := func() { stop(); conn.Close() }
		var b bytes.Buffer
		if err := pktline.NewEncoder(&b).Encodef("git-upload-pack %s\x00host=%s\x00", u.Path, u.Host); err != nil {
			end()
			return nil, err
		}
		if _, err := conn.Write(b.Bytes()); err != nil {
			end()
			return nil, fmt.Errorf("asking for the list of refs: %w", err)
		}
		return &stream{Reader: conn, Writer: conn, end: end}, nil
	}}
	return s, s.connect(ctx)
}

// openSSH runs git-upload-pack on an ssh server.
func (c *Client) openSSH(ctx context.Context, u remoteURL) (session, error) {
	config, err := c.sshConfig(u)
	if err != nil {
		return nil, err
	}
	s := &streamSession{open: func(ctx context.Context) (*stream, error) {
		conn, err := c.dial(ctx, u.URL, "22")
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		end := func() { stop(); conn.Close() }
		st, err := startSSH(conn, u, config)
		if err != nil {
			end()
			return nil, err
		}
		st.end = end
		return st, nil
	}}
	return s, s.connect(ctx)
}

func startSSH(conn net.Conn, u remoteURL, config *ssh.ClientConfig) (*stream, error) {
	addr := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "22"))
	cc, chans, reqs, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		return nil, sshFault(err, u)
	}
	run, err := ssh.NewClient(cc, chans, reqs).NewSession()
	if err != nil {
		return nil, fmt.Errorf("opening an ssh session: %w", err)
	}
	in, err := run.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := run.StdoutPipe()
	if err != nil {
		return nil, err
	}
	dir := u.Path
	if strings.HasPrefix(dir, "/~") {
		dir = dir[1:]
	}
	if err := run.Start("git-upload-pack '" + strings.ReplaceAll(dir, "'", `'\''`) + "'"); err != nil {
		return nil, fmt.Errorf("starting git-upload-pack over ssh: %w", err)
	}
	return &stream{Reader: out, Writer: in}, nil
}

func (c *Client) sshConfig(u remoteURL) (*ssh.ClientConfig, error) {
	if c.settings.SSHKeyFile == "" || c.settings.KnownHostsFile == "" {
		return nil, fault.Client(fault.RepositoryAccessError,
			"The repository %s needs ssh, for which this service has no key or no known hosts; use https", u.public())
	}
	f, err := os.Open(c.settings.SSHKeyFile)
	if err != nil {
		return nil, fault.ServerFinal(fault.FileAccessError, "The ssh key of this service cannot be read").Because(err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxKeyBytes))
	if err != nil {
		return nil, fault.ServerFinal(fault.FileAccessError, "The ssh key of this service cannot be read").Because(err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fault.ServerFinal(fault.FileAccessError, "The ssh key of this service cannot be used").Because(err)
	}
	db, err := knownhosts.NewDB(c.settings.KnownHostsFile)
	if err != nil {
		return nil, fault.ServerFinal(fault.FileAccessError, "The known hosts of this service cannot be read").Because(err)
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	user := u.User.Username()
	if user == "" {
		user = "git"
	}
	return &ssh.ClientConfig{
		User:              user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback:   db.HostKeyCallback(),
		HostKeyAlgorithms: db.HostKeyAlgorithms(net.JoinHostPort(u.Hostname(), port)),
		Timeout:           30 * time.Second,
	}, nil
}

// sshFault tells what the operator or the client must mend from what may pass.
func sshFault(err error, u remoteURL) error {
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return fault.Client(fault.RepositoryAccessError, "The host key of %s is not the one this service knows", u.Hostname()).Because(err)
	case knownhosts.IsHostUnknown(err):
		return fault.Client(fault.RepositoryAccessError, "The host key of %s is not known to this service", u.Hostname()).Because(err)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fault.Client(fault.RepositoryAccessError, textClone).Because(err)
	}
	return fmt.Errorf("connecting by ssh: %w", err)
}
