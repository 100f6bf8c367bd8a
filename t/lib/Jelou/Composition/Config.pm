package Jelou::Composition::Config;

# The configuration of nginx for compositions.
#
#     my $http = http(DIRECTORY, [COMPOSITION, NUMBER], ...);
#     my $text = locations(COMPOSITION, NUMBER);      # of one of them
#
# A composition is in /NUMBER, its other sites are below, or named after it.

use strict;
use warnings;

use Exporter 'import';
use Jelou ();
use Jelou::Composition qw(sites_of);
use Jelou::Http2 qw(listen_http2);
use Jelou::Server;

our @EXPORT = qw(http locations files Modules);

our $Modules = '/usr/lib/nginx/modules';

# A module that another one wants comes first.

our %Module = (
    lua   => ['ndk_http_module', 'ngx_http_lua_module'],
    js    => ['ngx_http_js_module'],
    echo  => ['ngx_http_echo_module'],
    more  => ['ngx_http_headers_more_filter_module'],
    subs  => ['ngx_http_subs_filter_module'],
    image => ['ngx_http_image_filter_module'],
);

our $Pages = join ' ', @Jelou::Composition::Pages;

our $Large = 40_000;

my $html;


# files(DIRECTORY): what handlers read

sub files {
    my $dir = shift;

    $html = "$dir/html";

    mkdir "$dir/html" or die "$dir/html: $!\n";
    chmod 0755, "$dir/html";

    my %files = (
        'page.html' => "OPERATORS-PAGE\n",
        'file'      => "FILE-LEAK\n",
        'bigfile'   => "FILE-LEAK\n" x 10_000,
        'test.js'   => js("$dir/record"),
    );

    Jelou::Server::spew("$dir/html/$_", $files{$_}, 0644) for keys %files;
    Jelou::Server::spew("$dir/record", '', 0666);

    return;
}


# Handlers in scripts write down what they got as the application does.

sub lua {
    my $record = shift;

    return <<"END";
init_by_lua_block {
    function handle(site, does)
        ngx.req.read_body()

        local body = ngx.req.get_body_data() or ""
        local headers = ngx.req.get_headers()
        local file = io.open("$record", "a")

        file:write(table.concat({
            site, does, "lua", ngx.req.get_method(),
            headers["content-length"] or "", headers["content-type"] or "",
            (body:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
        }, "\\t") .. "\\n")
        file:close()

        if does == "exit500" then
            return ngx.exit(500)
        end

        local status = tonumber(does:match("^%d+") or 200)

        ngx.status = status
        ngx.header["X-Upstream"] = "leak"
        ngx.header["Set-Cookie"] = "upstream=leak"
        ngx.header["ETag"] = '"leak"'

        if status == 429 then ngx.header["Retry-After"] = "$Jelou::Composition::Application::Retry_after" end
        if status == 301 then ngx.header["Location"] = "/leak" end

        if status == 204 or status == 304 then
            return ngx.send_headers()
        end

        if does == "200long" or does == "half" then
            for i = 1, 8 do
                ngx.print(("APPLICATION-LEAK "):rep(1000))

                if does == "half" and i == 4 then
                    ngx.flush(true)
                    return ngx.exit(ngx.ERROR)
                end
            end
            return
        end

        ngx.print("APPLICATION-LEAK")
    end
}
END
}

sub js {
    my $record = shift;

    return <<"END";
import fs from 'fs';

function handle(r) {
    var site = r.variables.test_site, does = r.variables.test_does;
    var body = r.requestBuffer || Buffer.from('');
    var status = parseInt(does) || 200;

    fs.appendFileSync('$record', [site, does, 'js', r.method,
        r.headersIn['Content-Length'] || '', r.headersIn['Content-Type'] || '',
        body.toString('hex')].join('\\t') + '\\n');

    if (does == 'exit500') {
        r.return(500);
        return;
    }

    r.headersOut['X-Upstream'] = 'leak';
    r.headersOut['ETag'] = '"leak"';
    r.headersOut['Set-Cookie'] = ['upstream=leak'];

    if (status == 429) r.headersOut['Retry-After'] = '$Jelou::Composition::Application::Retry_after';
    if (status == 301) r.headersOut['Location'] = '/leak';

    r.status = status;
    r.sendHeader();

    if (status != 204 && status != 304) {
        for (var i = 0; i < (does == '200long' ? 8 : 1); i++) {
            r.send('APPLICATION-LEAK '.repeat(does == '200long' ? 1000 : 1));
        }
    }

    r.finish();
}

export default { handle };
END
}


# take(NUMBER, NAME, SITE, MORE): the directives of a handler

sub take {
    my ($n, $name, $site, $more) = @_;

    my ($taker, $does) = @$site{qw(taker does)};
    my $down  = $does eq 'down';
    my $accel = $site->{accel}
        ? $does =~ /^accel=\@/ ? "\@$n-$site->{accel}" : "/$n/$site->{accel}"
        : '-';
    my %port = (proxy => 'APP', grpc => 'PORT_2');
    my $port = $Jelou::Port{$down ? 'DOWN' : $port{$taker} // uc $taker};

    $taker = 'proxy' if $taker eq 'cached';

    if ($taker eq 'proxy') {
        my $app = $Jelou::Port{$down ? 'DOWN' : 'APP'};

        return <<"END" . $more;
    proxy_pass          http://127.0.0.1:$app;
    proxy_http_version  1.1;
    proxy_set_header    Connection close;
    proxy_set_header    X-Site $n:$name;
    proxy_set_header    X-Does $does;
    proxy_set_header    X-Accel $accel;
    proxy_force_ranges  on;
END
    }

    if ($taker eq 'grpc') {
        return <<"END" . $more;
    grpc_pass        grpc://127.0.0.1:$port;
    grpc_set_header  X-Site $n:$name;
    grpc_set_header  X-Does $does;
    grpc_set_header  X-Accel $accel;
END
    }

    if ($taker =~ /^(?:fastcgi|uwsgi|scgi)$/) {
        return <<"END" . $more;
    ${taker}_pass   127.0.0.1:$port;
    ${taker}_param  CONTENT_LENGTH \$content_length;
    ${taker}_param  CONTENT_TYPE \$content_type;
    ${taker}_param  REQUEST_METHOD \$request_method;
    ${taker}_param  X-Site $n:$name;
    ${taker}_param  X-Does $does;
    ${taker}_param  X-Accel $accel;
    ${taker}_force_ranges  on;
END
    }

    return qq[    content_by_lua_block { handle("$n:$name", "$does") }\n]
        if $taker eq 'lua';

    return "    set  \$test_site $n:$name;\n    set  \$test_does $does;\n"
           . "    js_content  test.handle;\n" if $taker eq 'js';

    if ($taker eq 'echo') {
        my ($status) = $does =~ /^(\d+)/;
        my $times = $does =~ /long/ ? 8000 : 1;

        return <<"END";
    echo_read_request_body;
    echo_status     $status;
    echo_duplicate  $times "APPLICATION-LEAK ";
END
    }

    if ($taker eq 'return') {
        return $does eq 'page' || $does eq '200'
                             ? "    return  200 OPERATORS-PAGE;\n"
             : $does eq '301' ? "    return  301 http://127.0.0.1/page;\n"
             : "    return  $does;\n";
    }

    return "    root  $html;\n" if $taker eq 'file';

    return '' if $taker eq 'none';

    if ($taker eq 'queue') {
        return '' if $ENV{JELOU_COMPOSITION_PLAIN};

        my $redis = $Jelou::Port{$down ? 'DOWN' : 'PORT_3'};

        return "    jelou_redis_pass    127.0.0.1:$redis;\n"
             . "    jelou_redis_stream  s$n;\n";
    }

    die "no such taker: $taker\n";
}


sub filters {
    my ($c, $n) = @_;

    return {
        none     => '',
        gzip     => "    gzip             on;\n    gzip_types       *;\n"
                    . "    gzip_min_length  1;\n    gzip_http_version  1.0;\n"
                    . "    gzip_proxied     any;\n",
        addition => "    add_before_body  /before;\n"
                    . "    add_after_body   /after;\n"
                    . "    addition_types   *;\n",
        sub      => "    sub_filter        true TRUE;\n"
                    . "    sub_filter_types  *;\n    sub_filter_once   off;\n",
        ssi      => "    ssi        on;\n    ssi_types  *;\n",
        charset  => "    charset         utf-8;\n"
                    . "    source_charset  utf-8;\n    charset_types   *;\n",
        image    => "    image_filter  test;\n",
        lua      => <<"END",
    header_filter_by_lua_block {
        ngx.header.content_length = nil
        ngx.header["X-Lua"] = "1"
    }
    body_filter_by_lua_block {
        if ngx.arg[1]:find("LEAK", 1, true) then
            ngx.log(ngx.ERR, "the filter sees the application's body")
        end
        if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. "LUA-TAIL" end
    }
END
        more     => "    more_set_headers  'X-More: 1';\n",
        echo     => "    echo_before_body  -n ECHO-BEFORE;\n"
                    . "    echo_after_body   -n ECHO-AFTER;\n",
        subs     => "    subs_filter        true TRUE;\n"
                    . "    subs_filter_types  *;\n",
    }->{$c->{filter}};
}


sub endpoint {
    my ($c, $site) = @_;

    return '' if $ENV{JELOU_COMPOSITION_PLAIN};

    # Redis knows what was sent to it, and not what another endpoint has taken

    my $dedup = $c->{dedup} ne 'dedup' ? ''
              : $site->{taker} eq 'queue' && $site->{does} eq '200'
                ? "    jelou_redis_dedup  1h;\n"
              : "    jelou_dedup  zone=seen;\n";

    return <<"END" . $dedup;
    jelou_endpoint  incoming_message;
    jelou_reply     $c->{reply};
END
}


# The error_page of a site that has one

sub error_page {
    my ($c, $n, $name, $site) = @_;

    my $goes = $name =~ /^first/ ? $c->{goes} : '@last=';

    my $target = {
        page => '/page.html', return => "/$n/page", '@page' => "\@$n-page",
        proxied => "/$n/page", '@second' => "\@$n-second",
        second => "/$n/second", '@last' => "\@$n-last",
    };

    my ($to, $equals) = $goes =~ /^([^=]+)(=\d*)?$/ or return '';

    return '' unless $target->{$to};

    my $recursive = $c->{pages} =~ /recursive|both/
                    ? "    recursive_error_pages  on;\n" : '';
    my $taker = $site->{taker} =~ /cached/ ? 'proxy' : $site->{taker};
    my $intercept = $c->{pages} !~ /intercept|both/ ? ''
        : $taker =~ /^(?:proxy|fastcgi|uwsgi|scgi|grpc)$/
        ? "    ${taker}_intercept_errors  on;\n" : '';

    return "    error_page  $Pages " . ($equals // '')
           . " $target->{$to};\n$recursive$intercept";
}


# goes(COMPOSITION, NUMBER): what else stands in the first location

sub goes {
    my ($c, $n) = @_;

    my %goes = (
        'try=@second' => "try_files  /none \@$n-second;",
        'try=second'  => "try_files  /none /$n/second;",
        'try=file'    => "root  $html;\n    try_files  /page.html =404;",
        post_action   => "post_action  /$n/post;",
        auth          => "auth_request  /$n/auth;",
        'auth=denied' => "auth_request  /$n/auth;",
        mirror        => "mirror  /$n/mirror;",
    );

    my $goes = $goes{$c->{goes}} // return '';

    return "    $goes\n";
}

sub aside {
    my ($c, $n) = @_;

    my $goes = $c->{goes};
    my $upstream = grep { $_ eq $c->{taker} } @Jelou::Composition::Upstreams;

    my ($name, $site) =
        $goes eq 'mirror'
            ? (mirror => { taker => $upstream ? $c->{taker} : 'proxy',
                           does => 200 })
      : $goes eq 'post_action'
            ? (post => { taker => 'proxy', does => 200 })
      : $goes =~ /^auth/
            ? (auth => { taker => 'proxy',
                         does => $goes eq 'auth' ? 204 : 403 })
      : return '';

    my $more = $name ne 'auth' ? ''
             : "    proxy_pass_request_body  off;\n"
               . "    proxy_set_header  Content-Length '';\n";

    return "location = /$n/$name {\n    internal;\n"
           . take($n, $name, $site, $more) . "}\n";
}


# locations(COMPOSITION, NUMBER): all of one composition

sub locations {
    my ($c, $n) = @_;

    my $sites   = sites_of($c);
    my $filters = filters($c, $n);
    my $text    = "# $c->{name}\n";

    for my $name (sort keys %$sites) {
        my $site = $sites->{$name};

        # each is there under a name and under a path

        my @is = $name eq 'first' ? "= /$n"
               : $name =~ /^(?:page|last|second)$/
                 ? ("= /$n/$name", "\@$n-$name")
               : ("= /$n/$name", "\@$n-$name");

        for my $is (@is) {
            next unless wanted($c, $name, $is);

            $text .= "location $is {\n";
            $text .= "    internal;\n" if $is !~ /^\@/ && $name ne 'first';
            $text .= endpoint($c, $site) if $site->{endpoint};
            $text .= error_page($c, $n, $name, $site) if $site->{next};
            $text .= goes($c, $n) if $name eq 'first';
            $text .= $filters;
            $text .= $site->{taker} eq 'static'
                     ? "    alias  $html/$site->{kind};\n"
                     : take($n, $name, $site, cache($site));
            $text .= "}\n";
        }
    }

    return $text . aside($c, $n);
}

# wanted(COMPOSITION, NAME, IS): whether anything leads to it

sub wanted {
    my ($c, $name, $is) = @_;

    return 1 if $name eq 'first';

    my $named = $is =~ /^\@/;

    return $named if $name eq 'last';
    return $named == ($c->{goes} =~ /\@/ ? 1 : 0) if $name eq 'second';
    return $c->{goes} eq '@page=' ? $named
         : $c->{goes} =~ /^(?:return|proxied)=$/ ? !$named : 0
        if $name eq 'page';

    my $does = $name eq 'first-accel' ? $c->{does} : $c->{second};

    return $named == ($does =~ /accel=\@/ ? 1 : 0);
}

sub cache {
    my $site = shift;

    return '' if $site->{taker} ne 'cached';

    return "    proxy_cache          answers;\n"
           . "    proxy_cache_key      cached;\n"
           . "    proxy_cache_valid    200 1h;\n"
           . "    proxy_ignore_headers  Set-Cookie Cache-Control Expires;\n";
}


sub http {
    my ($dir, @compositions) = @_;

    my %with  = map { $_ => 1 } @{ $compositions[0]{modules} };
    my $p     = \%Jelou::Port;
    my $h2    = listen_http2($p->{PORT_1});
    my $h3    = $Jelou::Composition::Client::Http3
                ? $Jelou::Composition::Client::Http3->listen($p->{SERVER}) : '';
    my $relay = listen_http2($p->{PORT_2});
    my $lua   = $with{lua} ? lua("$dir/record") : '';
    my $early = $Jelou::Composition::Early ? 'early_hints  1;' : '';
    my $js    = $with{js} ? "js_import  test from $dir/html/test.js;" : '';

    my $text = join "\n", map { locations(@$_) } @compositions[1 .. $#compositions];

    $text =~ s/^/    /mg;

    return <<"END";
jelou_status_zone  zone=counts:256k;
jelou_dedup_zone   zone=seen:8m;

proxy_cache_path  $dir/cache keys_zone=answers:1m;

$lua
$js

log_format  result  '\$request_uri|\$http_x_try|\$status|\$jelou_result';
log_subrequest  off;

server {
    listen  127.0.0.1:$p->{SERVER};
    $h2
    $h3

    access_log            $dir/results result;
    root                  $dir/html;
    jelou_secret          "$Jelou::Secret";
    client_max_body_size  20k;
    output_buffers        2 32k;
    lingering_timeout     1s;
    $early
    add_header            X-Operator 1 always;

    location = /status {
        access_log    off;
        jelou_status  prometheus;
    }
    location = /warm {
        access_log  off;
@{[ take(0, 'warm', { taker => 'cached', does => 200 },
         cache({ taker => 'cached' })) ]}
    }
    location = /before {
        internal;
        return  200 BEFORE;
    }
    location = /after {
        internal;
        return  200 AFTER;
    }

$text
}

# An application that speaks gRPC's HTTP/2, in front of the one that does not

server {
    $relay

    access_log  off;

    location / {
        proxy_pass            http://127.0.0.1:$p->{APP};
        proxy_http_version    1.1;
        proxy_set_header      Connection close;
        proxy_set_header      X-Protocol grpc;
        proxy_set_header      X-Length \$http_content_length;
        proxy_ignore_headers  X-Accel-Redirect X-Accel-Expires Expires
                              X-Accel-Limit-Rate X-Accel-Buffering
                              X-Accel-Charset Cache-Control;
        proxy_pass_header     X-Accel-Redirect;
        client_max_body_size  0;
    }
}
END
}


1;
