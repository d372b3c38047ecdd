package onaws

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/cachito-serverless/cachito/shared/config"
)

// secretPrefix begins the value of a setting whose file is the content of a secret: "secret:" and the secret's
// name or ARN.
const secretPrefix = "secret:"

// withSecrets fetches the secrets that settings name instead of files, and names the files that they are in now.
func withSecrets(ctx context.Context, cfg config.Config, clients aws.Config, folder string) (config.Config, error) {
	var client *secretsmanager.Client
	files := cfg.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := files[name]
		secret, ok := strings.CutPrefix(*path, secretPrefix)
		if !ok {
			continue
		}
		if client == nil {
			client = secretsmanager.NewFromConfig(clients)
		}
		file := filepath.Join(folder, strings.ToLower(name))
		if err := fetchSecret(ctx, client, secret, file); err != nil {
			return config.Config{}, fmt.Errorf("%s: %w", name, err)
		}
		*path = file
	}
	return cfg, nil
}

func fetchSecret(ctx context.Context, client *secretsmanager.Client, name, file string) error {
	if name == "" {
		return fmt.Errorf("want %s and the name or ARN of a secret", secretPrefix)
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return fmt.Errorf("reading secret %s: %w", name, err)
	}
	content := out.SecretBinary
	if out.SecretString != nil {
		content = []byte(*out.SecretString)
	}
	if len(content) == 0 {
		return fmt.Errorf("reading secret %s: it is empty", name)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("writing secret %s: %w", name, err)
	}
	return nil
}
