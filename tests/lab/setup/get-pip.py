# Stands in for get-pip, whose host may be out of reach: pip as Python itself carries it, then what was asked for.
# ansible-test looks for it as ~/.ansible/test/cache/get_pip_VERSION.py.
import ensurepip
import os
import subprocess
import sys

environment = dict(os.environ)
ensurepip.bootstrap()
wanted = [argument for argument in sys.argv[1:] if argument not in ('--no-setuptools', '--no-wheel')]
# ensurepip sets variables for pip that hide the machine's configuration.
sys.exit(subprocess.call([sys.executable, '-m', 'pip', 'install'] + wanted, env=environment))
