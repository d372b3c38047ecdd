package gitrepo

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

func TestRefNames(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("app")
	first := repo.Commit(map[string]string{"a": "1"})
	repo.Tag("light", first)
	repo.AnnotatedTag("v1.0.0", first)
	second := repo.Commit(map[string]string{"a": "2"})
	repo.Branch("both", second)
	repo.Tag("both", first)
	clone := filepath.Join(t.TempDir(), "clone")
	runGit(t, "/", "clone", "-q", srv.URL("app"), clone)
	c := newClient(t, srv)
	tests := []struct{ name, want string }{
		{"", second},
		{"HEAD", second},
		{"main", second},
		{"refs/heads/main", second},
		{"light", first},
		{"v1.0.0", first},
		{"refs/tags/v1.0.0", first},
		{"both", first},
		{first, first},
	}
	for _, tt := range tests {
		t.Run("name "+tt.name, func(t *testing.T) {
			got, err := c.ResolveRef(context.Background(), srv.URL("app"), tt.name)
			if err != nil || got != tt.want {
				t.Errorf("remote: got %s, %v, want %s", got, err, tt.want)
			}
			got, err = LocalRef(clone, tt.name)
			if err != nil || got != tt.want {
				t.Errorf("local: got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	t.Run("shortened hash of a local repository", func(t *testing.T) {
		if got, err := LocalRef(clone, first[:10]); err != nil || got != first {
			t.Errorf("got %s, %v, want %s", got, err, first)
		}
	})
	t.Run("not there", func(t *testing.T) {
		_, err := c.ResolveRef(context.Background(), srv.URL("app"), "nothing")
		_, localErr := LocalRef(clone, "nothing")
		for _, err := range []error{err, localErr} {
			f := fault.From(err)
			if want := `Failed on checking out the Git repository. Please verify the supplied reference of "nothing" is valid.`; f == nil || f.Message != want || f.Type != fault.InvalidRequestData {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	})
	t.Run("no repository", func(t *testing.T) {
		_, err := c.ResolveRef(context.Background(), srv.URL("missing"), "main")
		_, localErr := LocalRef(t.TempDir(), "main")
		for _, err := range []error{err, localErr} {
			if f := fault.From(err); f == nil || f.Type != fault.RepositoryAccessError || f.Origin != fault.OriginClient {
				t.Errorf("got %v, want a RepositoryAccessError of the client", err)
			}
		}
	})
}
