from crm_dev.cli import main

raise SystemExit(main())
