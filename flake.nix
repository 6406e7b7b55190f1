{
  description = "Hold a Redlock over three or more Redis servers while a command runs";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.05";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "redlock";
          version = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).package.version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          # The tests start servers, and want a machine of their own: `make test`.
          doCheck = false;
          postInstall = ''
            installShellCompletion --cmd redlock \
              --bash completions/redlock.bash --zsh completions/_redlock --fish completions/redlock.fish
          '';
          meta = {
            description = "Hold a Redlock over three or more Redis servers while a command runs";
            license = with pkgs.lib.licenses; [ mit asl20 ];
            platforms = systems;
            mainProgram = "redlock";
          };
        };
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [ cargo clippy rustfmt redis openssl shellcheck python3 ];
        };
      });
    };
}
