# The files of containers/: nginx.conf loads, and the others agree with it on ports,
# paths and names.  util/fresh.sh tries them.

use strict;
use warnings;

use JSON::PP ();
use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp);

my $nginx = Jelou::Config->new('containers');

chdir $Root or die "$Root: $!\n";

my $conf = slurp('containers/nginx.conf');

chmod 0600, $nginx->supply('/run/secrets/jelou.secrets', "a-secret-of-the-test\n")
    or die "chmod: $!\n";

# names of the orchestrator's, which only it resolves

my $here = $conf =~ s{http://app:3000}{http://127.0.0.1:9}gr
                 =~ s{redis:6379}{127.0.0.1:9}gr;

is($nginx->check($here), '', 'nginx.conf loads');

my ($secrets) = $conf =~ /jelou_secret_file\s+([^;]+)/;
my @ports     = $conf =~ /listen\s+(\d+)/g;

is_deeply([grep { !m{^(?:/tmp/|stderr|/dev/std)} }
           $conf =~ /^\s*(?:pid|error_log|access_log|\w+_temp_path)\s+(?!off)([^\s;]+)/mg],
          [], 'nginx writes to /tmp only');

# yaml(FILE): its documents

sub yaml {
    my $file = shift;

    my $json = `/usr/bin/python3 -c '
import json, sys, yaml
print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))' $file`;

    is($?, 0, "$file is YAML");
    return @{ JSON::PP->new->decode($json) };
}

my ($compose) = yaml('containers/compose.yaml');
my $service   = $compose->{services}{nginx};

ok($service->{read_only}, 'Compose: the root is read-only');
is_deeply($service->{cap_drop}, ['ALL'], 'Compose: no capabilities');
is_deeply($service->{tmpfs}, ['/tmp:mode=1777'], 'Compose: what can be written to');
is_deeply([map { "/run/secrets/$_" } @{ $service->{secrets} }], [$secrets],
          'Compose: the secret is where nginx looks for it');
is_deeply($service->{ports}, ["127.0.0.1:$ports[0]:$ports[0]"], 'Compose: the port');
ok(-e "containers/$service->{build}{context}/$service->{build}{dockerfile}",
   'Compose: what it builds');
like($conf, qr/\b$_:\d+;/, "nginx.conf has $_") for qw(app redis);
is_deeply([sort keys %{ $compose->{services} }], [qw(app nginx redis)], 'Compose: names');

my %kind = map { $_->{kind} => $_ } yaml('containers/kubernetes.yaml');
my $pod  = $kind{Deployment}{spec}{template}{spec};
my ($container) = @{ $pod->{containers} };
my %port = map { $_->{name} => $_->{containerPort} } @{ $container->{ports} };

is_deeply([sort keys %kind], [qw(Deployment Service)], 'Kubernetes: the kinds');
is_deeply([sort values %port], [sort @ports], 'Kubernetes: the ports');
is_deeply([grep { !$port{$_} } map { $_->{targetPort} } @{ $kind{Service}{spec}{ports} }],
          [], 'Kubernetes: those of the Service');

for my $set ($kind{Service}{spec}{selector},
             $kind{Deployment}{spec}{selector}{matchLabels})
{
    is_deeply($set, $kind{Deployment}{spec}{template}{metadata}{labels},
              'Kubernetes: labels');
}

for my $probe (qw(readinessProbe livenessProbe)) {
    my $get = $container->{$probe}{httpGet};

    like($conf, qr/listen\s+$port{$get->{port}};.*location = \Q$get->{path}\E \{/s,
         "Kubernetes: $probe");
}

my $security = $container->{securityContext};

ok($pod->{securityContext}{runAsNonRoot} && $security->{readOnlyRootFilesystem}
   && !$security->{allowPrivilegeEscalation}, 'Kubernetes: what nginx may do');

my %mount = map { $_->{name} => $_->{mountPath} } @{ $container->{volumeMounts} };

is($mount{tmp}, '/tmp', 'Kubernetes: what can be written to');
is("$mount{secrets}/jelou.secrets", $secrets, 'Kubernetes: the secret');
is(sprintf('%o', $pod->{volumes}[0]{secret}{defaultMode}), '440',
   'Kubernetes: only the group reads it');
is($pod->{securityContext}{fsGroup}, 101, 'Kubernetes: which is that of nginx');

my $file = slurp('containers/Containerfile');

like($file, qr/^USER 101:101$/m, 'Containerfile: the user');
like($file, qr/^EXPOSE @ports$/m, 'Containerfile: the ports');
is_deeply([grep { !-e } map { split } $file =~ /^COPY (?!--)(.*) \S+$/mg], [],
          'Containerfile: what it copies is there');
# A secret of the one who builds gets into neither an image nor a commit.

my ($kept) = $compose->{secrets}{'jelou.secrets'}{file} =~ m{^\./(.*)};

for my $ignored (qw(.dockerignore .gitignore)) {
    like(slurp($ignored), qr{^/?containers/\Q$kept\E$}m, "$ignored has the secret");
}

is_deeply([grep { m{(?:^|\s)(?:\.|containers/?)(?:\s|$)} } $file =~ /^COPY (?!--)(.*) \S+$/mg],
          [], 'Containerfile: nothing is copied as a whole but the sources');

ok(-x 'containers/reload.sh', 'the entrypoint of the image calls what is executable');

done_testing();
